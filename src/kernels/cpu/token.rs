//! What is the same for every sequence of a batch: `add_rows`, a table added to its tokens, and `prepend`, a token in front.

use super::parallel::pieces;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::add_rows::AddRows;
use crate::ops::prepend::Prepend;

/// Tokens and width of the sequences that come in.
fn sizes(shapes: &Shapes) -> (usize, usize) {
    (shapes.inputs[0][1], shapes.inputs[0][2])
}

/// Inputs: x, w.
impl Kernel for AddRows {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, w, (tokens, width)) = (inputs[0].numbers(), inputs[1].numbers(), sizes(shapes));
        pieces(output, tokens * width, tokens * width, |n, y| {
            let x = x[n * tokens * width..].chunks_exact(width);
            for (t, (y, x)) in y.chunks_exact_mut(width).zip(x).enumerate() {
                let row = &w[self.row.unwrap_or(t) * width..][..width];
                y.iter_mut().zip(x.iter().zip(row)).for_each(|(y, (x, w))| *y = x + w);
            }
        });
    }

    /// The table's gradient is added up example by example, token by token.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (tokens, width) = sizes(call.shapes);
        let [dx, dw] = gradients else { panic!("bug: `add_rows` has two inputs") };
        if let Some(dx) = dx {
            dx.set_by(call.cotangent, call.cotangent, |d, _| d);
        }
        let Some(dw) = dw else { return };
        if !dw.add {
            dw.data.fill(0.0);
        }
        for (i, dy) in call.cotangent.chunks_exact(width).enumerate() {
            let row = self.row.unwrap_or(i % tokens);
            dw.data[row * width..][..width].iter_mut().zip(dy).for_each(|(g, d)| *g += d);
        }
    }
}

/// Inputs: x, w.
impl Kernel for Prepend {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, w, (tokens, width)) = (inputs[0].numbers(), inputs[1].numbers(), sizes(shapes));
        pieces(output, (tokens + 1) * width, (tokens + 1) * width, |n, y| {
            let (first, others) = y.split_at_mut(width);
            first.copy_from_slice(w);
            others.copy_from_slice(&x[n * tokens * width..][..tokens * width]);
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (tokens, width) = sizes(call.shapes);
        let [dx, dw] = gradients else { panic!("bug: `prepend` has two inputs") };
        let examples = call.cotangent.chunks_exact((tokens + 1) * width);
        if let Some(dx) = dx {
            let add = dx.add;
            for (dx, dy) in dx.data.chunks_exact_mut(tokens * width).zip(examples.clone()) {
                Gradient { data: dx, add }.set_by(&dy[width..], &dy[width..], |d, _| d);
            }
        }
        let Some(dw) = dw else { return };
        if !dw.add {
            dw.data.fill(0.0);
        }
        examples.for_each(|dy| dw.data.iter_mut().zip(dy).for_each(|(g, d)| *g += d));
    }
}
