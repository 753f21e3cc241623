//! The activation of an epilogue: over numbers that were just computed, and its slope for the way back.
//!
//! Activations that only cut a range off are [`Limits`], which an inner loop applies as it goes. The others are a walk of
//! their own over a block of numbers while it is still in the cache.

use super::math::{erf, exp, sigmoid, tanh, vectorised};
use crate::ops::epilogue::Activation;
use std::f32::consts::FRAC_1_SQRT_2;

/// The numbers that an activation leaves as they are lie between these two; NaN stands for no limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    low: f32,
    high: f32,
}

impl Limits {
    pub const NONE: Limits = Limits { low: f32::NAN, high: f32::NAN };

    /// The limits that the activation is, and what remains of it to do.
    pub fn of(activation: Option<Activation>) -> (Limits, Option<Activation>) {
        match activation {
            Some(Activation::Relu) => (Limits { low: 0.0, high: f32::NAN }, None),
            Some(Activation::Relu6) => (Limits { low: 0.0, high: 6.0 }, None),
            other => (Limits::NONE, other),
        }
    }

    /// Whether anything is cut off.
    pub fn any(self) -> bool {
        !(self.low.is_nan() && self.high.is_nan())
    }

    /// Both limits, the lower first.
    pub fn bounds(self) -> [f32; 2] {
        [self.low, self.high]
    }

    /// The number within the limits. NaN stays, since no comparison with it holds.
    #[inline(always)]
    pub fn hold(self, x: f32) -> f32 {
        let x = if x <= self.low { self.low } else { x };
        if x >= self.high { self.high } else { x }
    }

    /// The gradient `d` of the result `y`, handed back.
    #[inline(always)]
    pub fn pass(self, d: f32, y: f32) -> f32 {
        let d = if y <= self.low { 0.0 } else { d };
        if y >= self.high { 0.0 } else { d }
    }
}

/// The distribution function of the standard normal distribution.
#[inline(always)]
fn normal(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * FRAC_1_SQRT_2))
}

/// `1 / √(2π)`.
const DENSITY: f32 = 0.398_942_3;

fn each(y: &mut [f32], f: impl Fn(f32) -> f32) {
    vectorised(
        #[inline(always)]
        || {
            // A loop, because `for_each` may end up in a function of its own, for lesser vectors.
            for y in y {
                *y = f(*y);
            }
        },
    );
}

/// `y = f(y)`.
pub fn apply(activation: Activation, y: &mut [f32]) {
    let limits = Limits::of(Some(activation)).0;
    match activation {
        Activation::Relu | Activation::Relu6 => each(
            y,
            #[inline(always)]
            |x| limits.hold(x),
        ),
        Activation::LeakyRelu(slope) => each(
            y,
            #[inline(always)]
            |x| if x > 0.0 { x } else { slope as f32 * x },
        ),
        Activation::Hardswish => each(
            y,
            #[inline(always)]
            |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        ),
        Activation::Silu => each(
            y,
            #[inline(always)]
            |x| x * sigmoid(x),
        ),
        Activation::Gelu => each(
            y,
            #[inline(always)]
            |x| x * normal(x),
        ),
        Activation::Sigmoid => each(y, sigmoid),
        Activation::Tanh => each(y, tanh),
    }
}

fn scale(by: &[f32], d: &mut [f32], slope: impl Fn(f32) -> f32) {
    vectorised(
        #[inline(always)]
        || {
            for (d, x) in d.iter_mut().zip(by) {
                *d *= slope(*x);
            }
        },
    );
}

/// `d = d · f′`, with the slope taken from the results where it follows from them
/// ([`Activation::slope_from_result`]), and from what the activation was applied to elsewhere.
pub fn slopes(activation: Activation, by: &[f32], d: &mut [f32]) {
    let limits = Limits::of(Some(activation)).0;
    match activation {
        Activation::Relu | Activation::Relu6 => scale(
            by,
            d,
            #[inline(always)]
            |y| limits.pass(1.0, y),
        ),
        Activation::LeakyRelu(slope) => scale(
            by,
            d,
            #[inline(always)]
            |y| if y > 0.0 { 1.0 } else { slope as f32 },
        ),
        Activation::Hardswish => scale(
            by,
            d,
            #[inline(always)]
            |x| {
                let rising = if x <= -3.0 { 0.0 } else { x / 3.0 + 0.5 };
                if x >= 3.0 { 1.0 } else { rising }
            },
        ),
        Activation::Silu => scale(
            by,
            d,
            #[inline(always)]
            |x| {
                let s = sigmoid(x);
                s * (1.0 + x * (1.0 - s))
            },
        ),
        Activation::Gelu => scale(
            by,
            d,
            #[inline(always)]
            |x| normal(x) + x * DENSITY * exp(-0.5 * x * x),
        ),
        Activation::Sigmoid => scale(
            by,
            d,
            #[inline(always)]
            |y| y * (1.0 - y),
        ),
        Activation::Tanh => scale(
            by,
            d,
            #[inline(always)]
            |y| 1.0 - y * y,
        ),
    }
}
