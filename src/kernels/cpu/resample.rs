//! `avg_pool2d`, `adaptive_avg_pool2d` and `upsample`: each axis made anew as weighted sums of neighbours, one after the other.
//!
//! `y[i, j] = Σ_{k, l} a[i, k] · b[j, l] · x[k, l]`: first the rows of `x` are mixed, then the columns of the mixed row.

use super::parallel::{pieces, scratch};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::adaptive_avg_pool2d::AdaptiveAvgPool2d;
use crate::ops::avg_pool2d::AvgPool2d;
use crate::ops::upsample::Upsample;

/// For each entry of an axis of the result, the entries of the input it is made of, with their weights.
type Axis = Vec<Vec<(usize, f32)>>;

/// Entries `range` of the input, equally.
fn mean(range: std::ops::Range<usize>, count: usize) -> Vec<(usize, f32)> {
    range.map(|i| (i, 1.0 / count as f32)).collect()
}

trait Resampled {
    /// An axis of the result, 0 the vertical one.
    fn axis(&self, axis: usize, from: usize, to: usize) -> Axis;
}

impl Resampled for AvgPool2d {
    fn axis(&self, axis: usize, from: usize, to: usize) -> Axis {
        let (size, padding) = (self.kernel[axis], self.padding[2 * axis]);
        let window = |i: usize| {
            let start = i * self.stride[axis];
            let inside = start.saturating_sub(padding)..(start + size).saturating_sub(padding).min(from);
            let count = if self.count_padding { size } else { inside.len() };
            mean(inside, count)
        };
        (0..to).map(window).collect()
    }
}

impl Resampled for AdaptiveAvgPool2d {
    fn axis(&self, _: usize, from: usize, to: usize) -> Axis {
        let window = |i: usize| i * from / to..((i + 1) * from).div_ceil(to);
        (0..to).map(window).map(|w| mean(w.clone(), w.len())).collect()
    }
}

impl Resampled for Upsample {
    fn axis(&self, _: usize, from: usize, to: usize) -> Axis {
        let narrow = |sources: Vec<(usize, f64)>| sources.into_iter().map(|(i, w)| (i, w as f32)).collect();
        (0..to).map(|i| narrow(self.sources(i, from, to))).collect()
    }
}

/// Both axes, and the numbers of an input and of a result plane.
fn axes(op: &impl Resampled, shapes: &Shapes) -> ([Axis; 2], usize, usize) {
    let (x, y) = (&shapes.inputs[0], &shapes.output);
    ([0, 1].map(|a| op.axis(a, x[2 + a], y[2 + a])), x[2] * x[3], y[2] * y[3])
}

fn forward(op: &impl Resampled, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
    let (x, ([rows, columns], pixels, places)) = (inputs[0].numbers(), axes(op, shapes));
    let w = shapes.inputs[0][3];
    pieces(output, places, places + pixels, |plane, y| {
        let x = &x[plane * pixels..][..pixels];
        scratch(w, |mixed| {
            for (sources, y) in rows.iter().zip(y.chunks_exact_mut(columns.len())) {
                mixed.fill(0.0);
                for &(row, a) in sources {
                    mixed.iter_mut().zip(&x[row * w..][..w]).for_each(|(m, x)| *m += a * x);
                }
                for (y, sources) in y.iter_mut().zip(&columns) {
                    *y = sources.iter().map(|&(column, b)| b * mixed[column]).sum();
                }
            }
        });
    });
}

fn pullback(op: &impl Resampled, call: &Backward, gradients: &mut [Option<Gradient>]) {
    let (Some(dx), ([rows, columns], pixels, places)) = (&mut gradients[0], axes(op, call.shapes)) else { return };
    let (w, add) = (call.shapes.inputs[0][3], dx.add);
    pieces(dx.data, pixels, places + pixels, |plane, dx| {
        if !add {
            dx.fill(0.0);
        }
        let dy = &call.cotangent[plane * places..][..places];
        scratch(w, |mixed| {
            for (sources, dy) in rows.iter().zip(dy.chunks_exact(columns.len())) {
                mixed.fill(0.0);
                for (d, sources) in dy.iter().zip(&columns) {
                    sources.iter().for_each(|&(column, b)| mixed[column] += b * d);
                }
                for &(row, a) in sources {
                    dx[row * w..][..w].iter_mut().zip(&*mixed).for_each(|(g, m)| *g += a * m);
                }
            }
        });
    });
}

macro_rules! resamples {
    ($($op:ident),*) => {
        $(impl Kernel for $op {
            fn reads(&self, _: usize) -> bool {
                false
            }

            fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
                forward(self, inputs, shapes, output);
            }

            fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
                pullback(self, call, gradients);
            }
        })*
    };
}

resamples!(AvgPool2d, AdaptiveAvgPool2d, Upsample);
