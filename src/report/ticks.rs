//! Where the ticks of an axis stand, and how they are labelled.
//!
//! Ticks are multiples of 1, 2 or 5 times a power of ten, at most about as many as asked for, all within the range.

/// Ticks within `low..=high`, where `low < high` and both are well within the range of `f64`.
pub fn linear(low: f64, high: f64, most: usize) -> Vec<f64> {
    let step = step((high - low) / most.max(1) as f64);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let count = (last - first).clamp(0.0, 2.0 * most as f64) as usize;
    // Dividing by the inverse of small steps keeps 0.3 from becoming 0.30000000000000004.
    let at = |i: f64| if step < 1.0 { i / (1.0 / step).round() } else { i * step };
    (0..=count).map(|i| at(first + i as f64)).collect()
}

/// Ticks of a logarithmic axis over `low..=high`, where `0 < low < high`.
pub fn logarithmic(low: f64, high: f64, most: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = |mantissas: &[f64], every: i32| {
        let powers = (first..=last).filter(|p| p.rem_euclid(every) == 0);
        let all = powers.flat_map(|p| mantissas.iter().map(move |m| m * 10f64.powi(p)));
        all.filter(|t| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(t)).collect::<Vec<_>>()
    };
    for mantissas in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
        let ticks = decades(mantissas, 1);
        match ticks.len() {
            // Less than a decade: round values, however they lie.
            0..=2 => return linear(low, high, most + 2),
            n if n <= most + 1 => return ticks,
            _ => {}
        }
    }
    decades(&[1.0], ((last - first) / most as i32) + 1)
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least `least`.
fn step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0].map(|m| m * power).into_iter().find(|s| *s >= least * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// A number in as few characters as tell it apart: plain in the middle range, with an exponent outside.
pub fn label(value: f64) -> String {
    number(value, 6)
}

/// A number with up to `digits` significant digits.
pub fn number(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let text = if (-4..7).contains(&magnitude) {
        format!("{value:.*}", (digits - 1 - magnitude).max(0) as usize)
    } else {
        format!("{value:.*e}", digits as usize - 1)
    };
    let (mantissa, exponent) = text.split_once('e').map_or((text.as_str(), None), |(m, e)| (m, Some(e)));
    let short = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    exponent.map_or(short.to_string(), |e| format!("{short}e{e}")).replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: Vec<f64>) -> String {
        ticks.into_iter().map(label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_and_within_the_range() {
        assert_eq!(labels(linear(0.0, 1.0, 5)), "0 0.2 0.4 0.6 0.8 1");
        assert_eq!(labels(linear(0.13, 0.37, 5)), "0.15 0.2 0.25 0.3 0.35");
        assert_eq!(labels(linear(-7.0, 12.0, 4)), "−5 0 5 10");
        assert_eq!(labels(linear(1e-9, 4e-9, 4)), "1e−9 2e−9 3e−9 4e−9");
        assert_eq!(labels(linear(1e20, 3e20, 2)), "1e20 2e20 3e20");
        assert_eq!(labels(logarithmic(0.02, 3.0, 6)), "0.02 0.05 0.1 0.2 0.5 1 2");
        assert_eq!(labels(logarithmic(1e-9, 1e9, 6)), "1e−8 0.0001 1 10000 1e8");
        assert_eq!(labels(logarithmic(0.21, 0.48, 5)), "0.25 0.3 0.35 0.4 0.45");
    }
}
