//! `gelu`: both forms stand with the op.

use super::math::{erf, exp, tanh, vectorised};
use super::rows::blocks;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::gelu::Gelu;

impl Kernel for Gelu {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let x = inputs[0].numbers();
        blocks(output, 1, |start, y| {
            let x = &x[start..][..y.len()];
            if self.approximate {
                each(
                    x,
                    y,
                    #[inline(always)]
                    |x| 0.5 * x * (1.0 + tanh(inner(x))),
                );
            } else {
                each(
                    x,
                    y,
                    #[inline(always)]
                    |x| x * normal(x),
                );
            }
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (x, Some(dx)) = (call.inputs[0].numbers(), &mut gradients[0]) else { return };
        let add = dx.add;
        blocks(dx.data, 1, |start, dx| {
            let (x, dy) = (&x[start..][..dx.len()], &call.cotangent[start..][..dx.len()]);
            if self.approximate {
                slopes(
                    x,
                    dy,
                    dx,
                    add,
                    #[inline(always)]
                    |x| {
                        let t = tanh(inner(x));
                        let slope = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
                        0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * slope
                    },
                );
            } else {
                slopes(
                    x,
                    dy,
                    dx,
                    add,
                    #[inline(always)]
                    |x| normal(x) + x * DENSITY * exp(-0.5 * x * x),
                );
            }
        });
    }
}

fn each(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32) {
    vectorised(
        #[inline(always)]
        || {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = f(x);
            }
        },
    );
}

fn slopes(x: &[f32], dy: &[f32], dx: &mut [f32], add: bool, f: impl Fn(f32) -> f32) {
    vectorised(
        #[inline(always)]
        || {
            let all = dx.iter_mut().zip(x).zip(dy);
            // Loops, because `for_each` may end up in a function of its own, for lesser vectors.
            if add {
                for ((dx, &x), dy) in all {
                    *dx += dy * f(x);
                }
            } else {
                for ((dx, &x), dy) in all {
                    *dx = dy * f(x);
                }
            }
        },
    );
}

/// √(2/π) and the cubic factor of the tanh form (Hendrycks and Gimpel 2016, arXiv 1606.08415).
const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// 1 / √(2π).
const DENSITY: f32 = 0.398_942_3;

#[inline(always)]
fn inner(x: f32) -> f32 {
    SQRT_2_OVER_PI * (x + CUBIC * x * x * x)
}

/// The distribution function of the standard normal distribution.
#[inline(always)]
fn normal(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}
