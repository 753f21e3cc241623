//! `low_rank`: a product of low rank added to a weight. It runs once for weights that do not move, so it is plain loops over rows.

use super::parallel::long;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::low_rank::LowRank;

/// Rows, columns and rank of the weights read as matrices.
fn sizes(shapes: &Shapes) -> [usize; 3] {
    let (dims, rank) = (&shapes.output, shapes.inputs[1][0]);
    [dims[0], dims[1..].iter().product(), rank]
}

impl Kernel for LowRank {
    fn reads(&self, i: usize) -> bool {
        i != 0
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let [w, a, b] = [0, 1, 2].map(|i| inputs[i].numbers());
        let ([_, columns, rank], scale) = (sizes(shapes), self.scale as f32);
        long(output, |start, piece| {
            for (y, i) in piece.iter_mut().zip(start..) {
                let (row, column) = (i / columns, i % columns);
                let terms = (0..rank).map(|k| b[row * rank + k] * a[k * columns + column]);
                *y = w[i] + scale * terms.sum::<f32>();
            }
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let [a, b] = [1, 2].map(|i| call.inputs[i].numbers());
        let ([rows, columns, rank], scale, d) = (sizes(call.shapes), self.scale, call.cotangent);
        for (i, gradient) in gradients.iter_mut().enumerate() {
            let Some(gradient) = gradient else { continue };
            match i {
                0 => gradient.set(|at| d[at]),
                1 => gradient.set(|at| {
                    let (k, column) = (at / columns, at % columns);
                    let terms = (0..rows).map(|row| f64::from(b[row * rank + k] * d[row * columns + column]));
                    (scale * terms.sum::<f64>()) as f32
                }),
                _ => gradient.set(|at| {
                    let (row, k) = (at / rank, at % rank);
                    let terms =
                        (0..columns).map(|column| f64::from(d[row * columns + column] * a[k * columns + column]));
                    (scale * terms.sum::<f64>()) as f32
                }),
            }
        }
    }
}
