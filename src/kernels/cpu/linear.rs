//! `linear`: one matrix product forward, two backward.

use super::gemm::{Matrix, product};
use super::parallel::pieces;
use super::wide::dot;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::linear::Linear;

/// Rows of `x`, width in and width out.
fn sizes(shapes: &Shapes) -> (usize, usize, usize) {
    let (x, w) = (&shapes.inputs[0], &shapes.inputs[1]);
    let (out, width) = (w[0], w[1]);
    (x[..x.len() - 1].iter().product(), width, out)
}

impl Kernel for Linear {
    fn reads(&self, i: usize) -> bool {
        i < 2
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (rows, width, out) = sizes(shapes);
        if self.bias {
            let bias = inputs[2].numbers();
            output.chunks_exact_mut(out).for_each(|row| row.copy_from_slice(bias));
        }
        let (x, w) = (inputs[0].numbers(), inputs[1].numbers());
        if rows == 1 {
            return row_times_matrix(x, w, self.bias, output);
        }
        product(Matrix::new(x, rows, width), Matrix::new(w, out, width).t(), output, self.bias);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (rows, width, out) = sizes(call.shapes);
        let dy = Matrix::new(call.cotangent, rows, out);
        if let Some(dx) = &mut gradients[0] {
            product(dy, Matrix::new(call.inputs[1].numbers(), out, width), dx.data, dx.add);
        }
        if let Some(dw) = &mut gradients[1] {
            product(dy.t(), Matrix::new(call.inputs[0].numbers(), rows, width), dw.data, dw.add);
        }
        if let Some(db) = gradients.get_mut(2).and_then(Option::as_mut) {
            if !db.add {
                db.data.fill(0.0);
            }
            for row in call.cotangent.chunks_exact(out) {
                db.data.iter_mut().zip(row).for_each(|(g, d)| *g += d);
            }
        }
    }
}

/// One row: a dot product for each row of the weight, which is read once and needs no packing.
fn row_times_matrix(x: &[f32], w: &[f32], add: bool, output: &mut [f32]) {
    pieces(output, 1, x.len(), |i, y| {
        let sum = dot(x, &w[i * x.len()..][..x.len()]);
        y[0] = if add { y[0] + sum } else { sum };
    });
}
