//! `max_pool2d` and `global_avg_pool`; formulas stand with the ops.

use super::linear::sum;
use super::parallel::{pieces, scratch};
use super::unfold::Sliding;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::global_avg_pool::GlobalAvgPool;
use crate::ops::max_pool2d::MaxPool2d;
use crate::ops::window::Window;

fn sliding(op: &MaxPool2d, shape: &[usize]) -> Sliding {
    let window = Window { kernel: op.kernel, stride: op.stride, padding: op.padding, dilation: [1, 1] };
    Sliding::new(window, [shape[2], shape[3]])
}

/// Calls `f` for each sample of the windows in the row of positions `oy`, in row-major order of the window: with the
/// positions that read it, and the pixel that the first of them reads.
fn samples(sliding: &Sliding, oy: usize, mut f: impl FnMut(std::ops::Range<usize>, usize)) {
    let ([kh, kw], [sy, sx]) = (sliding.window.kernel, sliding.window.stride);
    for ky in 0..kh {
        let (valid, top) = sliding.reach(0, ky);
        if !valid.contains(&oy) {
            continue;
        }
        let row = (oy * sy).wrapping_add_signed(top) * sliding.image[1];
        for kx in 0..kw {
            let (columns, left) = sliding.reach(1, kx);
            if !columns.is_empty() {
                let x = (columns.start * sx).wrapping_add_signed(left);
                f(columns, row + x);
            }
        }
    }
}

/// Whether `x` wins over the best so far. NaN wins over every number.
fn wins(x: f32, best: f32) -> bool {
    x > best || x.is_nan()
}

impl Kernel for MaxPool2d {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, sliding) = (inputs[0].numbers(), sliding(self, &shapes.inputs[0]));
        let (pixels, places) = (sliding.pixels(), sliding.places());
        let ([_, ow], [_, stride]) = (sliding.positions, self.stride);
        pieces(output, places, places * sliding.taps(), |plane, y| {
            let x = &x[plane * pixels..][..pixels];
            for (oy, y) in y.chunks_exact_mut(ow).enumerate() {
                y.fill(f32::NEG_INFINITY);
                samples(&sliding, oy, |columns, pixel| {
                    let best = |(y, x): (&mut f32, &f32)| *y = if wins(*x, *y) { *x } else { *y };
                    y[columns].iter_mut().zip(x[pixel..].iter().step_by(stride)).for_each(best);
                });
            }
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (Some(dx), x) = (&mut gradients[0], call.inputs[0].numbers()) else { return };
        let (sliding, add) = (sliding(self, &call.shapes.inputs[0]), dx.add);
        let (pixels, places) = (sliding.pixels(), sliding.places());
        let ([_, ow], [_, stride]) = (sliding.positions, self.stride);
        pieces(dx.data, pixels, places * sliding.taps(), |plane, dx| {
            if !add {
                dx.fill(0.0);
            }
            let x = &x[plane * pixels..][..pixels];
            let mut winners = vec![0; ow];
            scratch(ow, |best| {
                for (oy, dy) in call.cotangent[plane * places..][..places].chunks_exact(ow).enumerate() {
                    let mut first = true;
                    samples(&sliding, oy, |columns, pixel| {
                        if std::mem::take(&mut first) {
                            best.fill(f32::NEG_INFINITY);
                            winners.fill(usize::MAX);
                        }
                        for (i, o) in columns.enumerate() {
                            let at = pixel + i * stride;
                            // The first pixel of a window stands until another wins, even when it is −∞.
                            if wins(x[at], best[o]) || winners[o] == usize::MAX {
                                (best[o], winners[o]) = (x[at], at);
                            }
                        }
                    });
                    winners.iter().zip(dy).for_each(|(&at, d)| dx[at] += d);
                }
            });
        });
    }
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
