//! `relayout`: feature maps from one order into the other, a transpose of channels and pixels for each example.

use super::parallel::pieces;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::relayout::Relayout;

impl Kernel for Relayout {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        transpose(inputs[0].numbers(), &shapes.output, self.channels_last, false, output);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        transpose(call.cotangent, &call.shapes.output, !self.channels_last, dx.add, dx.data);
    }
}

/// Rows or columns of a block that is transposed at once, so that both sides stay in the cache.
const BLOCK: usize = 16;

/// Transposes each example's map of shape `[batch, channels, height, width]`.
fn transpose(x: &[f32], shape: &[usize], channels_last: bool, add: bool, y: &mut [f32]) {
    let (channels, pixels) = (shape[1], shape[2] * shape[3]);
    let (rows, columns) = if channels_last { (pixels, channels) } else { (channels, pixels) };
    // A piece is some rows of the result, all of one example where that has many.
    let together = BLOCK.min(rows.max(1));
    let per_example = rows.div_ceil(together);
    if rows % together == 0 {
        return pieces(y, together * columns, together * columns, |i, y| {
            let x = &x[i / per_example * rows * columns..][..rows * columns];
            block(x, rows, i % per_example * together, columns, add, y);
        });
    }
    pieces(y, rows * columns, rows * columns, |i, y| {
        block(&x[i * rows * columns..][..rows * columns], rows, 0, columns, add, y);
    });
}

/// `y[r][c] = x[c][first + r]`, where the rows of `x` are `stride` long.
fn block(x: &[f32], stride: usize, first: usize, columns: usize, add: bool, y: &mut [f32]) {
    let rows = y.len() / columns;
    for r0 in (0..rows).step_by(BLOCK) {
        for c0 in (0..columns).step_by(BLOCK) {
            for c in c0..columns.min(c0 + BLOCK) {
                let x = &x[c * stride + first..];
                for r in r0..rows.min(r0 + BLOCK) {
                    let y = &mut y[r * columns + c];
                    *y = if add { *y + x[r] } else { x[r] };
                }
            }
        }
    }
}
