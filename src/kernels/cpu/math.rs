//! Functions and sums that the compiler turns into vector code: no branch, no call, one order of operations on every machine.
//!
//! Each function takes and gives one number, and is exact to one or two units in the last place unless it says otherwise. NaN
//! goes in and comes out. Loops over them stand inside [`vectorised`]; what such a loop calls is `#[inline(always)]`.

use std::f32::consts::LOG2_E;

/// Runs `work` compiled for the widest vectors of this machine. The closure itself must be `#[inline(always)]`. Multiplications
/// and additions are never fused, so the bits are the same on all machines.
#[inline(always)]
pub fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    (super::tile::chosen().arch)().dispatch(work)
}

/// ln 2 in two parts. The first has few bits, so that a multiple of it is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// Added to a number below 2²² it rounds it to an integer, which then stands in the lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// `e^x = 2^n · e^r` with `|r| ≤ ln 2 / 2`, and a polynomial for `e^r` (Moshier, Cephes). Gives infinity and denormals where they
/// are due.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let x = x.clamp(-104.0, 89.0);
    let rounded = x * LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let power = p * r * r + r + 1.0;
    // The scale in two factors: 2^n itself need not be a normal number.
    let n = rounded.to_bits().wrapping_sub(ROUNDER.to_bits()) as i32;
    let half = n >> 1;
    power * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `1 / (1 + e^−x)`, by a power that does not overflow.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let power = exp(-x.abs());
    (if x < 0.0 { power } else { 1.0 }) / (1.0 + power)
}

/// `tanh x`: a polynomial near 0, where the quotient would cancel, and `1 − 2 / (e^(2|x|) + 1)` elsewhere (Moshier, Cephes).
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let z = x * x;
    let p = -5.704_988_7e-3;
    let p = p * z + 2.063_909e-2;
    let p = p * z - 5.373_971_6e-2;
    let p = p * z + 1.333_144_2e-1;
    let p = p * z - 3.333_328e-1;
    let near = p * z * x + x;
    let far = (1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0)).copysign(x);
    if x.abs() < 0.625 { near } else { far }
}

/// The error function, off by at most 2 · 10⁻⁷: `1 − 2^(a · q(a))` with `a = |x|`, a polynomial `q` fitted on [0, 4] for the
/// least largest error, and another one for the power, as in [`exp`]; ±1 beyond, where that is what the result rounds to.
#[inline(always)]
#[allow(clippy::approx_constant, reason = "the factor is fitted like the others: near ln 2, and not ln 2")]
pub fn erf(x: f32) -> f32 {
    let a = x.abs();
    let a = if a > 4.0 { 4.0 } else { a };
    let q = -4.535_861e-5;
    let q = q * a + 4.455_077e-4;
    let q = q * a - 1.489_442e-3;
    let q = q * a - 7.746_290_6e-4;
    let q = q * a + 2.825_368e-2;
    let q = q * a - 1.484_816e-1;
    let q = q * a - 9.184_164e-1;
    let q = q * a - 1.627_908_6;
    let t = q * a;
    let rounded = t + ROUNDER;
    let r = t - (rounded - ROUNDER);
    let p = 1.326_472_8e-3;
    let p = p * r + 9.671_513e-3;
    let p = p * r + 5.550_733_6e-2;
    let p = p * r + 2.402_224_2e-1;
    let p = p * r + 6.931_47e-1;
    let p = p * r + 1.0;
    // The integer stands in the lowest bits, and nothing else in those that the exponent takes.
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    (1.0 - p * scale).copysign(x)
}

/// Running sums, always the same number of them, so that a sum has the same bits on all machines.
const LANES: usize = 32;

/// Joins lanes pairwise, half and half. They go through memory first: otherwise the compiler orders the lanes of the loop before
/// by what suits this one.
#[inline(always)]
fn join(lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = std::hint::black_box(lanes);
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// `Σ f(x)`.
#[inline(always)]
pub fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (heads, tail) = x.as_chunks::<LANES>();
    for x in heads {
        for i in 0..LANES {
            sums[i] += f(x[i]);
        }
    }
    let tail: f32 = tail.iter().map(|&x| f(x)).sum();
    join(sums, |a, b| a + b) + tail
}

/// `Σ f(a, b)`.
#[inline(always)]
pub fn sum_pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let b = &b[..a.len()];
    let mut sums = [0.0f32; LANES];
    let ((heads_a, tail_a), (heads_b, tail_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in heads_a.iter().zip(heads_b) {
        for i in 0..LANES {
            sums[i] += f(a[i], b[i]);
        }
    }
    let tail: f32 = tail_a.iter().zip(tail_b).map(|(&a, &b)| f(a, b)).sum();
    join(sums, |a, b| a + b) + tail
}

/// The largest number; −∞ when there is none. NaN is passed over.
#[inline(always)]
pub fn largest(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut most = [f32::NEG_INFINITY; LANES];
    let (heads, tail) = x.as_chunks::<LANES>();
    for x in heads {
        for i in 0..LANES {
            most[i] = larger(most[i], x[i]);
        }
    }
    tail.iter().fold(join(most, larger), |a, &b| larger(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers over the whole range of f32, both signs, denormals and infinities among them.
    fn range() -> impl Iterator<Item = f32> {
        (0..=u32::MAX).step_by(997).map(f32::from_bits).filter(|x| !x.is_nan())
    }

    /// The error in units of the last place of the right result.
    fn ulps(got: f32, want: f64) -> f64 {
        let near = want as f32;
        if near.is_infinite() || got.is_infinite() {
            return if got == near { 0.0 } else { f64::INFINITY };
        }
        let unit = f64::from(f32::from_bits(near.abs().to_bits() + 1)) - f64::from(near.abs());
        (f64::from(got) - want).abs() / unit
    }

    fn worst(f: fn(f32) -> f32, right: fn(f64) -> f64) -> (f64, f32) {
        let dense = (-200_000..200_000).map(|i| i as f32 * 6e-4);
        range()
            .chain(dense)
            .map(|x| (ulps(f(x), right(f64::from(x))), x))
            .fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
    }

    #[test]
    fn functions_are_right_over_the_whole_range() {
        for (name, most, f, right) in [
            ("exp", 1.5, exp as fn(f32) -> f32, f64::exp as fn(f64) -> f64),
            ("tanh", 2.5, tanh, f64::tanh),
            ("sigmoid", 3.0, sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
        ] {
            let (error, x) = worst(f, right);
            assert!(error <= most, "{name}({x:e}) is {} and off by {error} units", f(x));
            assert!(f(f32::NAN).is_nan(), "{name}");
        }
        assert_eq!([exp(89.0), exp(f32::INFINITY), exp(-105.0)], [f32::INFINITY, f32::INFINITY, 0.0]);
        assert!(exp(-100.0) > 0.0, "a denormal");
    }

    #[test]
    fn erf_is_right_over_the_whole_range() {
        for x in range().chain((-50_000..50_000).map(|i| i as f32 * 1e-4)) {
            let error = (f64::from(erf(x)) - libm::erf(f64::from(x))).abs();
            assert!(error <= 2e-7, "erf({x:e}) is off by {error:e}");
        }
        assert!(erf(f32::NAN).is_nan());
        assert_eq!([erf(4.0), erf(f32::NEG_INFINITY), erf(0.0)], [1.0, -1.0, 0.0]);
    }

    #[test]
    fn sums_of_every_length() {
        for n in 0..100usize {
            let x: Vec<f32> = (0..n).map(|i| (i * 7 % 13) as f32).collect();
            assert_eq!(sum(&x, |x| 2.0 * x), x.iter().map(|x| 2.0 * x).sum::<f32>());
            assert_eq!(sum_pairs(&x, &x, |a, b| a * b), x.iter().map(|x| x * x).sum::<f32>());
            assert_eq!(largest(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
