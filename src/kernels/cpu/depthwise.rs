//! Depthwise convolution: each channel by its own window.
//!
//! [`forward`], [`data_gradient`] and [`weight_gradient`] go over maps with their channels last, and windows packed by [`pack`].

mod general;
mod geometry;
mod input;
mod sweep;
mod weights;

pub use geometry::{Geometry, pack};

use super::bank::Bank;
use crate::ops::epilogue::Activation;

/// `y = f(w ⋆ x + bias + residual)`, with packed windows; `bias` and `residual` may be empty.
pub fn forward(
    g: &Geometry,
    packed: &[f32],
    x: &[f32],
    bias: &[f32],
    residual: &[f32],
    activation: Option<Activation>,
    y: &mut [f32],
) {
    let run = if g.known().is_some() { input::forward } else { general::forward };
    run(g, packed, x, bias, residual, activation, y);
}

/// `dx = wᵀ ⋆ dy` or `dx += wᵀ ⋆ dy`, with packed windows.
pub fn data_gradient(g: &Geometry, packed: &[f32], dy: &[f32], dx: &mut [f32], add: bool) {
    let run = if g.known().is_some() { input::data_gradient } else { general::data_gradient };
    run(g, packed, dy, dx, add);
}

/// The gradient of windows as they are stored, `[channels, 1, height, width]`, written or added.
pub fn weight_gradient(g: &Geometry, dy: &[f32], x: &[f32], dw: &mut [f32], add: bool) {
    let run = if g.known().is_some() { weights::weight_gradient } else { general::weight_gradient };
    run(g, dy, x, dw, add);
}

/// Whether every group is one channel that is read and one that is made.
pub fn fits(bank: &Bank) -> bool {
    bank.rows == 1 && bank.channels == 1 && bank.groups > 1
}
