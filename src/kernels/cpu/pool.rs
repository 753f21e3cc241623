//! `max_pool2d` and `global_avg_pool`; formulas stand with the ops.

use super::parallel::{pieces, scratch};
use super::unfold::Sliding;
use super::wide::{maximum, sum};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::global_avg_pool::GlobalAvgPool;
use crate::ops::max_pool2d::MaxPool2d;
use crate::ops::window::Window;
use std::ops::Range;

fn sliding(op: &MaxPool2d, shape: &[usize]) -> Sliding {
    let window = Window { kernel: op.kernel, stride: op.stride, padding: op.padding, dilation: [1, 1] };
    Sliding::new(window, [shape[2], shape[3]])
}

/// The rows of the image that the row of positions `oy` reads.
fn rows(sliding: &Sliding, oy: usize) -> Range<usize> {
    let (start, top) = (oy * sliding.window.stride[0], sliding.window.padding[0]);
    start.saturating_sub(top)..(start + sliding.window.kernel[0]).saturating_sub(top).min(sliding.image[0])
}

/// The columns of the image that each column of positions reads.
fn columns(sliding: &Sliding) -> Vec<Range<usize>> {
    let (left, w) = (sliding.window.padding[2], sliding.image[1]);
    let starts = (0..sliding.positions[1]).map(|ox| ox * sliding.window.stride[1]);
    starts.map(|s| s.saturating_sub(left)..(s + sliding.window.kernel[1]).saturating_sub(left).min(w)).collect()
}

/// First the largest number of each column of the rows that are read, then the largest of the columns.
impl Kernel for MaxPool2d {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, sliding) = (inputs[0].numbers(), sliding(self, &shapes.inputs[0]));
        let (pixels, places, columns) = (sliding.pixels(), sliding.places(), columns(&sliding));
        let ([_, w], [_, ow]) = (sliding.image, sliding.positions);
        pieces(output, places, pixels, |plane, y| {
            let x = &x[plane * pixels..][..pixels];
            scratch(w, |best| {
                for (oy, y) in y.chunks_exact_mut(ow).enumerate() {
                    best.fill(f32::NEG_INFINITY);
                    rows(&sliding, oy).for_each(|row| maximum(&x[row * w..][..w], best));
                    for (y, columns) in y.iter_mut().zip(&columns) {
                        let larger = |y: f32, x: &f32| if *x > y || x.is_nan() { *x } else { y };
                        *y = best[columns.clone()].iter().fold(f32::NEG_INFINITY, larger);
                    }
                }
            });
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (Some(dx), x) = (&mut gradients[0], call.inputs[0].numbers()) else { return };
        let (sliding, add) = (sliding(self, &call.shapes.inputs[0]), dx.add);
        let (pixels, places, columns) = (sliding.pixels(), sliding.places(), columns(&sliding));
        let ([_, w], [_, ow]) = (sliding.image, sliding.positions);
        pieces(dx.data, pixels, pixels, |plane, dx| {
            if !add {
                dx.fill(0.0);
            }
            let x = &x[plane * pixels..][..pixels];
            // For each column, the pixel that wins among the rows that are read.
            let mut winners = vec![0; w];
            for (oy, dy) in call.cotangent[plane * places..][..places].chunks_exact(ow).enumerate() {
                let rows = rows(&sliding, oy);
                winners.iter_mut().enumerate().for_each(|(column, winner)| *winner = rows.start * w + column);
                for row in rows.skip(1) {
                    for (column, winner) in winners.iter_mut().enumerate() {
                        let at = row * w + column;
                        *winner = if wins(x, at, *winner) { at } else { *winner };
                    }
                }
                for (d, columns) in dy.iter().zip(&columns) {
                    let of = |best: usize, at: usize| if wins(x, at, best) { at } else { best };
                    let winner = winners[columns.clone()].iter().copied().reduce(of);
                    dx[winner.expect("every window overlaps the image")] += d;
                }
            }
        });
    }
}

/// Whether pixel `a` wins over pixel `b`: NaN wins over every number; of equal numbers the first wins, of NaNs the last.
fn wins(x: &[f32], a: usize, b: usize) -> bool {
    let (value, other) = (x[a], x[b]);
    value > other || (value == other && a < b) || (value.is_nan() && (!other.is_nan() || a > b))
}

impl Kernel for GlobalAvgPool {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, places) = (inputs[0].numbers(), places(shapes));
        pieces(output, 1, places, |plane, y| y[0] = sum(&x[plane * places..][..places]) / places as f32);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (Some(dx), places) = (&mut gradients[0], places(call.shapes)) else { return };
        let add = dx.add;
        pieces(dx.data, places, places, |plane, dx| {
            let d = call.cotangent[plane] / places as f32;
            dx.iter_mut().for_each(|g| *g = if add { *g + d } else { d });
        });
    }
}

fn places(shapes: &Shapes) -> usize {
    shapes.inputs[0][2..].iter().product()
}
