//! `detect`: the rows of a detector's cells out of a feature map. The formula stands with the op.

use super::math::sigmoid;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::detect::{BEHIND, Detect, softplus};

/// Cells, width of the map, logits of classes and quality, and numbers of a row.
fn sizes(shapes: &Shapes) -> (usize, usize, usize, usize) {
    let row = shapes.output[2];
    (shapes.output[1], shapes.inputs[0][3], row - BEHIND + 1, row)
}

impl Detect {
    /// Which way and how far a distance in strides moves a corner: left, top, right, bottom.
    fn steps(&self) -> [f32; 4] {
        let [down, right] = self.stride.map(|s| s as f32);
        [-right, -down, right, down]
    }
}

/// Inputs: `x`.
impl Kernel for Detect {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (cells, width, logits, row) = sizes(shapes);
        let (x, steps) = (inputs[0].numbers(), self.steps());
        for (i, y) in output.chunks_exact_mut(row).enumerate() {
            let (image, cell) = (i / cells, i % cells);
            let at = |channel: usize| x[(image * (logits + 4) + channel) * cells + cell];
            let centre = self.centre(cell, width);
            (0..logits).for_each(|c| y[c] = at(c));
            (0..4).for_each(|k| y[logits + k] = centre[k % 2] + steps[k] * softplus(at(logits + k)));
            y[logits + 4..].copy_from_slice(&centre);
        }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let (cells, _, logits, row) = sizes(call.shapes);
        let (x, steps, dy) = (call.inputs[0].numbers(), self.steps(), call.cotangent);
        dx.set(|i| {
            let (image, channel, cell) = (i / cells / (logits + 4), i / cells % (logits + 4), i % cells);
            let dy = dy[(image * cells + cell) * row + channel];
            if channel < logits { dy } else { dy * steps[channel - logits] * sigmoid(x[i]) }
        });
    }
}
