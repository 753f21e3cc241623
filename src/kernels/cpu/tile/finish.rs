//! What happens to a tile's sums before they are written: bias, residual, activation.
#![allow(clippy::needless_range_loop, reason = "loops over constant indices become vector instructions")]

use super::WIDTH;
use crate::kernels::cpu::math::{erf, exp, sigmoid, tanh};
use crate::ops::epilogue::Activation;

/// The end of a tile. Nothing of it by default.
#[derive(Clone, Copy, Default)]
pub struct Finish<'a> {
    /// For each column of the tile.
    pub bias: Option<&'a [f32]>,
    /// As long as the results, and read at the same places.
    pub residual: Option<&'a [f32]>,
    pub activation: Option<Activation>,
    /// Add to what is there.
    pub add: bool,
}

impl Finish<'_> {
    pub fn is_empty(&self) -> bool {
        self.as_they_are() && !self.add
    }

    pub fn only_adds(&self) -> bool {
        self.as_they_are() && self.add
    }

    fn as_they_are(&self) -> bool {
        self.bias.is_none() && self.residual.is_none() && self.activation.is_none()
    }
}

/// Writes the sums of a tile, `WIDTH` for each row.
///
/// # Safety
/// `y[to[p]..to[p] + width]` may be written, and the residual and the bias reach as far.
#[inline(always)]
pub unsafe fn finish(sums: &mut [[f32; WIDTH]], width: usize, y: *mut f32, to: &[usize], finish: &Finish) {
    for (z, &to) in sums.iter_mut().zip(to) {
        // SAFETY: the caller promises that these results may be written, and nobody else uses them.
        let y = unsafe { std::slice::from_raw_parts_mut(y.add(to), width) };
        let full: Option<&mut [f32; WIDTH]> = if width == WIDTH { y.first_chunk_mut() } else { None };
        match full {
            Some(y) => whole(z, y, to, finish),
            None => partial(z, y, to, finish),
        }
    }
}

/// A row of full width: every loop has a constant length, and becomes a few vector instructions.
#[inline(always)]
fn whole(z: &mut [f32; WIDTH], y: &mut [f32; WIDTH], to: usize, finish: &Finish) {
    if let Some(bias) = finish.bias.and_then(<[f32]>::first_chunk::<WIDTH>) {
        for c in 0..WIDTH {
            z[c] += bias[c];
        }
    }
    if let Some(residual) = finish.residual.and_then(|r| r[to..].first_chunk::<WIDTH>()) {
        for c in 0..WIDTH {
            z[c] += residual[c];
        }
    }
    if let Some(activation) = finish.activation {
        activate(activation, z);
    }
    if finish.add {
        for c in 0..WIDTH {
            y[c] += z[c];
        }
    } else {
        *y = *z;
    }
}

#[inline(always)]
fn partial(z: &mut [f32; WIDTH], y: &mut [f32], to: usize, finish: &Finish) {
    if let Some(bias) = finish.bias {
        z.iter_mut().zip(&bias[..y.len()]).for_each(|(z, b)| *z += b);
    }
    if let Some(residual) = finish.residual {
        z.iter_mut().zip(&residual[to..][..y.len()]).for_each(|(z, r)| *z += r);
    }
    if let Some(activation) = finish.activation {
        activate(activation, z);
    }
    if finish.add {
        y.iter_mut().zip(z).for_each(|(y, z)| *y += *z);
    } else {
        y.copy_from_slice(&z[..y.len()]);
    }
}

/// Applies a formula to each number of a row. A macro, because a closure may end up in a function of its own, for lesser vectors.
macro_rules! each {
    ($row:ident, |$x:ident| $value:expr) => {
        for z in $row.iter_mut() {
            let $x = *z;
            *z = $value;
        }
    };
}

/// Applies an activation to a row. Formulas stand with the ops.
#[inline(always)]
pub fn activate(activation: Activation, z: &mut [f32; WIDTH]) {
    match activation {
        // The comparison is false for NaN, which therefore stays.
        Activation::Relu => each!(z, |x| if x <= 0.0 { 0.0 } else { x }),
        Activation::Relu6 => each!(z, |x| x.clamp(0.0, 6.0)),
        Activation::LeakyRelu(slope) => {
            let slope = slope as f32;
            each!(z, |x| if x > 0.0 { x } else { slope * x });
        }
        Activation::Hardswish => each!(z, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
        Activation::Silu => each!(z, |x| x * sigmoid(x)),
        Activation::Gelu => each!(z, |x| 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))),
        Activation::Sigmoid => each!(z, |x| sigmoid(x)),
        Activation::Tanh => each!(z, |x| tanh(x)),
    }
}

/// The slope of an activation for which it follows from the result.
#[inline(always)]
pub fn slope_from_result(activation: Activation, y: f32) -> f32 {
    match activation {
        Activation::Relu => {
            if y <= 0.0 {
                0.0
            } else {
                1.0
            }
        }
        Activation::Relu6 => {
            if y <= 0.0 || y >= 6.0 {
                0.0
            } else {
                1.0
            }
        }
        Activation::LeakyRelu(slope) => {
            if y > 0.0 {
                1.0
            } else {
                slope as f32
            }
        }
        Activation::Sigmoid => y * (1.0 - y),
        Activation::Tanh => 1.0 - y * y,
        Activation::Hardswish | Activation::Silu | Activation::Gelu => {
            unreachable!("their slope does not follow from the result")
        }
    }
}

/// The slope of any activation, from what it is applied to.
#[inline(always)]
pub fn slope(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Relu => {
            if x <= 0.0 {
                0.0
            } else {
                1.0
            }
        }
        Activation::Relu6 => {
            if x <= 0.0 || x >= 6.0 {
                0.0
            } else {
                1.0
            }
        }
        Activation::LeakyRelu(slope) => {
            if x > 0.0 {
                1.0
            } else {
                slope as f32
            }
        }
        Activation::Sigmoid => sigmoid(x) * (1.0 - sigmoid(x)),
        Activation::Tanh => 1.0 - tanh(x) * tanh(x),
        Activation::Hardswish => {
            if x <= -3.0 {
                0.0
            } else if x >= 3.0 {
                1.0
            } else {
                x / 3.0 + 0.5
            }
        }
        Activation::Silu => sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))),
        Activation::Gelu => {
            const DENSITY: f32 = 0.398_942_3;
            0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)) + x * DENSITY * exp(-0.5 * x * x)
        }
    }
}
