//! `linear`: one matrix product forward, two backward. A weight that does not move is packed into panels once.
//!
//! With `y = f(z + r)`, `z = x · wᵀ + b`, and `dz = dy · f′`: `dx = dz · w`, `dw = dzᵀ · x`, `db = Σ dz` and `dr = dz`.

use super::function::through;
use super::low_precision::{self, Layer};
use super::math::vectorised;
use super::parallel::{pieces, scratch};
use super::product::{Left, Product, Right};
use super::tile::{Finish, WIDTH, packed_len, panel_of_rows};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::epilogue::Activation;
use crate::ops::linear::Linear;

/// Columns of a sum of rows that a thread works on.
const COLUMNS: usize = 64;

/// Rows of `x`, width in and width out.
fn sizes(shapes: &Shapes) -> (usize, usize, usize) {
    let (x, w) = (&shapes.inputs[0], &shapes.inputs[1]);
    let (out, width) = (w[0], w[1]);
    (x[..x.len() - 1].iter().product(), width, out)
}

/// The end of a linear layer: everything but its activation.
fn finish<'a>(op: &Linear, inputs: &[Input<'a>]) -> Finish<'a> {
    let residual = 2 + usize::from(op.bias);
    Finish {
        bias: op.bias.then(|| inputs[2].numbers()),
        residual: op.epilogue.residual.then(|| inputs[residual].numbers()),
        ..Finish::default()
    }
}

/// `f(x · wᵀ + b + r)`.
fn forward(inputs: &[Input], shapes: &Shapes, output: &mut [f32], finish: &Finish) {
    let (rows, width, out) = sizes(shapes);
    let right = match inputs[1] {
        Input::Prepared(panels) => Right::Packed(panels),
        w => Right::Columns { numbers: w.numbers(), row: width },
    };
    let left = Left::Rows { numbers: inputs[0].numbers(), row: width };
    Product { rows, columns: out, depth: width, left, right }.run(output, out, finish);
}

/// The layer in low precision.
fn layer(op: &Linear, shapes: &Shapes) -> Layer {
    let (rows, width, out) = sizes(shapes);
    Layer::new(op.precision, low_precision::vectors(rows, width, out))
}

/// An activation whose slope only follows from what it is applied to.
fn needs_its_argument(op: &Linear) -> bool {
    op.epilogue.activation.is_some_and(|f| !f.slope_from_result())
}

impl Kernel for Linear {
    fn reads(&self, i: usize) -> bool {
        i < 2 || needs_its_argument(self)
    }

    fn reads_output(&self) -> bool {
        self.epilogue.activation.is_some_and(Activation::slope_from_result)
    }

    fn prepared_len(&self, i: usize, shapes: &Shapes) -> Option<usize> {
        let (_, width, out) = sizes(shapes);
        let len = || if self.precision.is_f32() { packed_len(out, width) } else { layer(self, shapes).packed_len() };
        (i == 1).then(len)
    }

    fn prepare(&self, _: usize, numbers: &[f32], shapes: &Shapes, into: &mut [f32]) {
        if !self.precision.is_f32() {
            return layer(self, shapes).pack(numbers, into);
        }
        let (_, width, out) = sizes(shapes);
        pieces(into, width * WIDTH, width * WIDTH, |panel, numbers_of| {
            let first = panel * WIDTH;
            panel_of_rows(numbers_of, &numbers[first * width..], width, WIDTH.min(out - first), width);
        });
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let finish = Finish { activation: self.epilogue.activation, ..finish(self, inputs) };
        if !self.precision.is_f32() {
            return layer(self, shapes).forward(inputs[1], inputs[0].numbers(), output, &finish);
        }
        forward(inputs, shapes, output, &finish);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(activation) = self.epilogue.activation else { return self.pull(call, call.cotangent, gradients) };
        let n = call.cotangent.len();
        scratch(n, |dz| {
            let by = activation.slope_from_result().then_some(call.output);
            if by.is_none() {
                forward(call.inputs, call.shapes, dz, &finish(self, call.inputs));
            }
            through(activation, by, call.cotangent, &mut Gradient { data: dz, add: false });
            self.pull(call, dz, gradients);
        });
    }
}

impl Linear {
    /// Hands the gradient of `z` on.
    fn pull(&self, call: &Backward, dz: &[f32], gradients: &mut [Option<Gradient>]) {
        let (rows, width, out) = sizes(call.shapes);
        let add = |gradient: &Gradient| Finish { add: gradient.add, ..Finish::default() };
        if let Some(dx) = &mut gradients[0] {
            let left = Left::Rows { numbers: dz, row: out };
            let right = Right::Rows { numbers: call.inputs[1].numbers(), row: width };
            Product { rows, columns: width, depth: out, left, right }.run(dx.data, width, &add(dx));
        }
        if let Some(dw) = &mut gradients[1] {
            let left = Left::Columns { numbers: dz, row: out };
            let right = Right::Rows { numbers: call.inputs[0].numbers(), row: width };
            Product { rows: out, columns: width, depth: rows, left, right }.run(dw.data, width, &add(dw));
        }
        let mut rest = gradients[2..].iter_mut();
        if let Some(db) = rest.by_ref().take(usize::from(self.bias)).flatten().next() {
            sum_rows(dz, out, db);
        }
        if let Some(Some(dr)) = rest.next() {
            dr.set_by(dz, dz, |d, _| d);
        }
    }
}

/// Adds up rows in their order. Threads share the columns.
fn sum_rows(rows: &[f32], width: usize, sum: &mut Gradient) {
    let add = sum.add;
    pieces(sum.data, COLUMNS, rows.len() / width.div_ceil(COLUMNS), |i, sum| {
        vectorised(
            #[inline(always)]
            || {
                if !add {
                    sum.fill(0.0);
                }
                for row in rows.chunks_exact(width) {
                    for (s, d) in sum.iter_mut().zip(&row[i * COLUMNS..]) {
                        *s += d;
                    }
                }
            },
        );
    });
}
