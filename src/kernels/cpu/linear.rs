//! `linear`: one matrix product forward, two backward.

use super::gemm::{Matrix, product};
use super::math::{sum_pairs, vectorised};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::linear::Linear;
use rayon::prelude::*;

/// Fewer numbers than this are not worth a thread.
const PARALLEL: usize = 1 << 17;

/// Columns of the result that a thread works on.
const COLUMNS: usize = 64;

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
            sum_rows(call.cotangent, out, db);
        }
    }
}

/// Adds up rows in their order. Threads share the columns.
fn sum_rows(rows: &[f32], width: usize, sum: &mut Gradient) {
    let add = sum.add;
    let part = |first: usize, sum: &mut [f32]| {
        vectorised(
            #[inline(always)]
            || {
                if !add {
                    sum.fill(0.0);
                }
                for row in rows.chunks_exact(width) {
                    for (s, d) in sum.iter_mut().zip(&row[first..]) {
                        *s += d;
                    }
                }
            },
        );
    };
    if rows.len() < PARALLEL {
        return part(0, sum.data);
    }
    sum.data.par_chunks_mut(COLUMNS).enumerate().for_each(|(i, sum)| part(i * COLUMNS, sum));
}

/// One row: a dot product for each row of the weight, which is read once and needs no packing.
fn row_times_matrix(x: &[f32], w: &[f32], add: bool, output: &mut [f32]) {
    let part = |first: usize, output: &mut [f32]| {
        let w = &w[first * x.len()..];
        vectorised(
            #[inline(always)]
            || {
                for (y, w) in output.iter_mut().zip(w.chunks_exact(x.len())) {
                    let sum = sum_pairs(x, w, |x, w| x * w);
                    *y = if add { *y + sum } else { sum };
                }
            },
        );
    };
    if w.len() < PARALLEL {
        return part(0, output);
    }
    output.par_chunks_mut(COLUMNS).enumerate().for_each(|(i, output)| part(i * COLUMNS, output));
}
