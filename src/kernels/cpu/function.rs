//! Activations: every one is a [`Function`] of a number and its slope, and stands here alone; formulas stand with the ops.
//!
//! `with_function` turns an [`Activation`] into a type of its own, so that a walk over numbers has no branch on it. The walks
//! are [`map`] and [`through`] over whole arrays on all threads, [`apply`] over a block that was just computed, and [`each`] inside
//! a loop that is compiled for some vectors already. Activations that only cut a range off are [`Limits`] besides, which a loop
//! over registers applies as it goes.

use super::Gradient;
use super::math::{erf, exp, sigmoid, tanh, vectorised};
use super::parallel::pieces;
use crate::ops::epilogue::Activation;
use std::f32::consts::FRAC_1_SQRT_2;

/// A function of one number. Its methods must be `#[inline(always)]`, so that they are compiled for the vectors of their callers.
pub trait Function: Copy + Sync {
    /// About how many operations a value takes.
    const WORK: usize = 8;

    fn value(self, x: f32) -> f32;

    /// The slope, by the result where it follows from it ([`Activation::slope_from_result`]), and by the argument elsewhere.
    fn slope(self, by: f32) -> f32;
}

/// The numbers that an activation leaves as they are lie between these two; NaN stands for no limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    low: f32,
    high: f32,
}

impl Limits {
    pub const NONE: Limits = Limits { low: f32::NAN, high: f32::NAN };
    const RELU: Limits = Limits { low: 0.0, high: f32::NAN };
    const RELU6: Limits = Limits { low: 0.0, high: 6.0 };

    /// The limits that the activation is, and what remains of it to do.
    pub fn of(activation: Option<Activation>) -> (Limits, Option<Activation>) {
        match activation {
            Some(Activation::Relu) => (Limits::RELU, None),
            Some(Activation::Relu6) => (Limits::RELU6, None),
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

/// Declares functions: a type each, what it takes, its value of `x`, and its slope by what its name says.
macro_rules! functions {
    ($($name:ident $(($field:ident))? work $work:literal, $x:ident => $value:expr, $by:ident => $slope:expr;)*) => {$(
        #[derive(Clone, Copy)]
        pub struct $name$((functions!(@number $field)))?;

        impl Function for $name {
            const WORK: usize = $work;

            #[inline(always)]
            fn value(self, $x: f32) -> f32 {
                $(let Self($field) = self;)?
                $value
            }

            #[inline(always)]
            fn slope(self, $by: f32) -> f32 {
                $(let Self($field) = self;)?
                $slope
            }
        }
    )*};
    (@number $field:ident) => { f32 };
}

functions! {
    Relu work 1, x => Limits::RELU.hold(x), result => Limits::RELU.pass(1.0, result);
    Relu6 work 1, x => Limits::RELU6.hold(x), result => Limits::RELU6.pass(1.0, result);
    // The result has the sign of the argument where the slope is positive, so either will do.
    LeakyRelu(slope) work 1, x => if x > 0.0 { x } else { slope * x }, x => if x > 0.0 { 1.0 } else { slope };
    Hardsigmoid work 1, x => (x + 3.0).clamp(0.0, 6.0) / 6.0, result => {
        if result <= 0.0 || result >= 1.0 { 0.0 } else { 1.0 / 6.0 }
    };
    Hardswish work 1, x => x * (x + 3.0).clamp(0.0, 6.0) / 6.0, x => {
        let rising = if x <= -3.0 { 0.0 } else { x / 3.0 + 0.5 };
        if x >= 3.0 { 1.0 } else { rising }
    };
    Silu work 8, x => x * sigmoid(x), x => {
        let s = sigmoid(x);
        s * (1.0 + x * (1.0 - s))
    };
    Gelu work 8, x => x * normal(x), x => normal(x) + x * DENSITY * exp(-0.5 * x * x);
    // The form of `gelu` that is no activation of an epilogue.
    GeluByTanh work 8, x => 0.5 * x * (1.0 + tanh(inner(x))), x => {
        let t = tanh(inner(x));
        0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x)
    };
    Sigmoid work 8, x => sigmoid(x), result => result * (1.0 - result);
    Tanh work 8, x => tanh(x), result => 1.0 - result * result;
}

/// The distribution function of the standard normal distribution.
#[inline(always)]
fn normal(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * FRAC_1_SQRT_2))
}

/// `1 / √(2π)`.
const DENSITY: f32 = 0.398_942_3;

/// √(2/π) and the cubic factor of the tanh form (Hendrycks and Gimpel 2016, arXiv 1606.08415).
const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

#[inline(always)]
fn inner(x: f32) -> f32 {
    SQRT_2_OVER_PI * (x + CUBIC * x * x * x)
}

/// Does `work` with the function `f` of an activation. A macro, because a closure cannot be generic.
macro_rules! with_function {
    ($activation:expr, |$f:ident| $work:expr) => {
        with_function!(@arms $activation, $f, $work,
            Relu => Relu, Relu6 => Relu6, LeakyRelu(slope) => LeakyRelu(slope as f32), Hardsigmoid => Hardsigmoid,
            Hardswish => Hardswish,             Silu => Silu, Gelu => Gelu, Sigmoid => Sigmoid, Tanh => Tanh)
    };
    (@arms $activation:expr, $f:ident, $work:expr, $($name:ident $(($field:ident))? => $function:expr),*) => {
        match $activation {
            $(Activation::$name$(($field))? => {
                let $f = $function;
                $work
            })*
        }
    };
}

/// Numbers in a piece of an array.
const PIECE: usize = 1 << 13;

/// `y = f(x)`.
pub fn map_by<F: Function>(f: F, x: &[f32], y: &mut [f32]) {
    pieces(y, PIECE, PIECE * F::WORK, |i, y| {
        let x = &x[i * PIECE..][..y.len()];
        vectorised(
            #[inline(always)]
            || {
                // A loop, because `for_each` may end up in a function of its own, for lesser vectors.
                for (y, x) in y.iter_mut().zip(x) {
                    *y = f.value(*x);
                }
            },
        );
    });
}

/// `dx = dy · f′`, or added to it; `f′` by the numbers `by`, or without them by those that stand in `dx`.
pub fn through_by<F: Function>(f: F, by: Option<&[f32]>, dy: &[f32], dx: &mut Gradient) {
    assert!(by.is_some() || !dx.add, "bug: a gradient is added to what it is computed from");
    let add = dx.add;
    pieces(dx.data, PIECE, PIECE * F::WORK, |i, dx| {
        let part = i * PIECE..i * PIECE + dx.len();
        let (by, dy) = (by.map(|by| &by[part.clone()]), &dy[part]);
        vectorised(
            #[inline(always)]
            || match by {
                Some(by) if add => {
                    for ((dx, dy), by) in dx.iter_mut().zip(dy).zip(by) {
                        *dx += dy * f.slope(*by);
                    }
                }
                Some(by) => {
                    for ((dx, dy), by) in dx.iter_mut().zip(dy).zip(by) {
                        *dx = dy * f.slope(*by);
                    }
                }
                None => {
                    for (dx, dy) in dx.iter_mut().zip(dy) {
                        *dx = dy * f.slope(*dx);
                    }
                }
            },
        );
    });
}

/// [`map_by`] an activation.
pub fn map(activation: Activation, x: &[f32], y: &mut [f32]) {
    with_function!(activation, |f| map_by(f, x, y));
}

/// [`through_by`] an activation.
pub fn through(activation: Activation, by: Option<&[f32]>, dy: &[f32], dx: &mut Gradient) {
    with_function!(activation, |f| through_by(f, by, dy, dx));
}

/// `y = f(y)`.
pub fn apply(activation: Activation, y: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || each(activation, y),
    );
}

/// `y = f(y)`, compiled for the vectors of the caller.
#[inline(always)]
pub fn each(activation: Activation, y: &mut [f32]) {
    with_function!(activation, |f| for y in y {
        *y = f.value(*y);
    });
}
