//! The numbers that a product is computed in: what serving may trade for speed.
//!
//! In `bf16` both factors are rounded to 8 significant bits, and products are summed in f32. In `int8` an input becomes one of 256
//! steps over the range that calibration saw, `q = clamp(⌊x / s⌉ + z, 0, 255)`, so that 0 is the step `z`; a weight becomes one of
//! 127 steps either way of 0, `p = ⌊w / t⌉`, with a `t` for each filter; and `Σ x·w` is `s · t · Σ (q − z) · p`, an exact integer
//! sum. Bias, residual and activation are f32 in all. Halves round to even. Rounding is flat, so no gradient passes: a graph that
//! is trained is in f32.

use super::Op;
use super::operation::{Mismatch, require};
use serde::{Deserialize, Serialize};

/// What the factors of a product are rounded to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Nothing is rounded.
    #[default]
    F32,
    Bf16,
    /// With the range of the input.
    Int8 {
        low: f32,
        high: f32,
    },
}

/// The most terms of a sum of `int8` products that 32 bits hold: each is at most 255 · 127.
pub const MOST_TERMS: usize = i32::MAX as usize / (255 * 127);

impl Precision {
    pub fn is_f32(&self) -> bool {
        *self == Precision::F32
    }

    /// Fails unless sums of so many terms can be computed so.
    pub fn check(&self, name: &str, terms: usize) -> Result<(), Mismatch> {
        let Precision::Int8 { low, high } = *self else { return Ok(()) };
        require(low.is_finite() && high.is_finite() && low <= high, || {
            format!("the range of the input of `{name}` is from {low} to {high}")
        })?;
        require(terms <= MOST_TERMS, || {
            format!("`{name}` sums {terms} products, and in int8 at most {MOST_TERMS} fit 32 bits")
        })
    }

    /// `y[r, f] = Σ_i x[r, i] · w[f, i]`, by the meaning of the precision; `x` and `w` are rows of `width` numbers.
    pub fn product(&self, x: &[f32], w: &[f32], width: usize) -> Vec<f32> {
        match *self {
            Precision::F32 => each(x, w, width, |x, _, w| x.iter().zip(w).map(|(x, w)| x * w).sum()),
            Precision::Bf16 => each(x, w, width, |x, _, w| x.iter().zip(w).map(|(x, w)| bf16(*x) * bf16(*w)).sum()),
            Precision::Int8 { low, high } => {
                let (steps, filters) = (Steps::of(low, high), w.chunks(width).map(Filter::of).collect::<Vec<_>>());
                each(x, w, width, |x, f, w| {
                    let term = |(x, w): (&f32, &f32)| (steps.step(*x) - steps.zero) as i64 * filters[f].step(*w) as i64;
                    x.iter().zip(w).map(term).sum::<i64>() as f32 * (steps.size * filters[f].size)
                })
            }
        }
    }
}

impl Op {
    /// What the op computes its products in.
    pub fn precision(&self) -> Precision {
        match self {
            Op::Linear(op) => op.precision,
            Op::Conv2d(op) => op.precision,
            _ => Precision::F32,
        }
    }

    /// The precision of an op that may have another than f32.
    pub fn precision_mut(&mut self) -> Option<&mut Precision> {
        match self {
            Op::Linear(op) => Some(&mut op.precision),
            Op::Conv2d(op) if op.groups == 1 => Some(&mut op.precision),
            _ => None,
        }
    }
}

/// `y[r, f] = value(row r of x, f, row f of w)`.
fn each(x: &[f32], w: &[f32], width: usize, value: impl Fn(&[f32], usize, &[f32]) -> f32) -> Vec<f32> {
    let pairs = x.chunks(width).flat_map(|x| w.chunks(width).enumerate().map(move |(f, w)| (x, f, w)));
    pairs.map(|(x, f, w)| value(x, f, w)).collect()
}

/// The bits of the nearest bf16, the upper half of those of an f32. What is no number stays none.
#[inline(always)]
pub fn bf16_bits(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    ((if x.is_nan() { bits | 0x0040_0000 } else { rounded }) >> 16) as u16
}

/// The nearest bf16.
pub fn bf16(x: f32) -> f32 {
    f32::from_bits(u32::from(bf16_bits(x)) << 16)
}

/// The 256 steps of an input. 0 is always one of them, so that padding is exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps {
    /// What one step is worth.
    pub size: f32,
    /// Steps in 1.
    pub per_unit: f32,
    /// The step that 0 is: a whole number from 0 to 255.
    pub zero: f32,
}

impl Steps {
    /// The steps from `low` to `high`, or from or to 0.
    pub fn of(low: f32, high: f32) -> Self {
        let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
        let size = ((high - low) / 255.0).max(f64::from(f32::MIN_POSITIVE)) as f32;
        Self { size, per_unit: 1.0 / size, zero: (-low / f64::from(size)).round_ties_even().clamp(0.0, 255.0) as f32 }
    }

    /// The step nearest to a number. What lies beyond the range becomes its end, and what is no number its lower end.
    pub fn step(&self, x: f32) -> f32 {
        let step = (x * self.per_unit).round_ties_even() + self.zero;
        if step > 0.0 { step.min(255.0) } else { 0.0 }
    }
}

/// The steps of a filter, 127 either way of 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filter {
    pub size: f32,
    pub per_unit: f32,
}

impl Filter {
    pub fn of(weights: &[f32]) -> Self {
        let most = weights.iter().fold(0.0f32, |most, w| most.max(w.abs()));
        Self { size: most / 127.0, per_unit: if most > 0.0 { 127.0 / most } else { 0.0 } }
    }

    pub fn step(&self, w: f32) -> f32 {
        (w * self.per_unit).round_ties_even().clamp(-127.0, 127.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_halves_to_even() {
        // Beside 1 the numbers stand 2⁻⁷ apart.
        let ulp = 1.0 / 128.0;
        for (x, want) in [
            (1.0, 1.0),
            (1.0 + 0.5 * ulp, 1.0),
            (1.0 + 0.500_1 * ulp, 1.0 + ulp),
            (1.0 + 1.5 * ulp, 1.0 + 2.0 * ulp),
            (-1.0 - 1.5 * ulp, -1.0 - 2.0 * ulp),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
            (-0.0, -0.0),
        ] {
            assert_eq!(bf16(x).to_bits(), want.to_bits(), "{x}");
        }
        assert!(bf16(f32::NAN).is_nan() && bf16(f32::from_bits(0x7f80_0001)).is_nan());
    }

    #[test]
    fn the_steps_of_an_input_reach_from_end_to_end_and_hold_zero() {
        for (low, high) in [(-1.0, 1.0), (0.0, 6.0), (2.0, 3.0), (-5.0, -4.0), (-0.3, 7.1), (0.0, 0.0)] {
            let steps = Steps::of(low, high);
            assert_eq!(steps.step(0.0), steps.zero, "{low}..{high}");
            for x in [low, high] {
                let near = (steps.step(x) - steps.zero) * steps.size;
                assert!((near - x).abs() <= steps.size, "{x} becomes {near}");
            }
            assert_eq!((steps.step(f32::INFINITY), steps.step(f32::NEG_INFINITY)), (255.0, 0.0));
            assert_eq!(steps.step(f32::NAN), 0.0);
        }
    }

    /// By hand: steps of 0.1 from −5.1 to 20.4, so 0 is step 51; the filters have steps of 0.5 and of 0.01.
    #[test]
    fn a_product_in_int8() {
        let precision = Precision::Int8 { low: -5.1, high: 20.4 };
        let y = precision.product(&[1.04, -2.0, 30.0], &[63.5, 1.0, -0.2, 0.01, -1.27, 0.0], 3);
        // q − z = 10, −20, 204; p = 127, 2, 0 and 1, −127, 0.
        let want = [0.1 * 0.5 * (1270.0 - 40.0), 0.1 * 0.01 * (10.0 + 2540.0)];
        y.iter().zip(want).for_each(|(y, want)| assert!((y - want).abs() < 1e-5 * want, "{y}, not {want}"));
        assert_eq!(Precision::Bf16.product(&[1.001, 2.0], &[3.0, 0.5], 2), [4.0]);
    }
}
