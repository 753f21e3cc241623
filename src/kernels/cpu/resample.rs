//! `avg_pool2d`, `adaptive_avg_pool2d` and `upsample` over maps with their channels last: each pixel of the result is a
//! weighted sum of neighbours.
//!
//! `y[i, j] = Σ_{k, l} a[i, k] · b[j, l] · x[k, l]`, with the weights of each axis by themselves. What entry `i` reads begins
//! and ends no earlier than what entry `i − 1` reads; so the entries that read `k` stand in a row, and each pixel's gradient
//! is gathered from them.

use super::math::vectorised;
use super::parallel::pieces;
use super::pool::by_blocks;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::adaptive_avg_pool2d::AdaptiveAvgPool2d;
use crate::ops::avg_pool2d::AvgPool2d;
use crate::ops::upsample::Upsample;

/// The entries of an axis that an entry of the result is made of: `count` of them, of one weight or two.
#[derive(Clone, Copy)]
struct Taps {
    first: usize,
    count: usize,
    weights: [f32; 2],
}

impl Taps {
    fn mean(first: usize, end: usize, count: usize) -> Self {
        Self { first, count: end - first, weights: [1.0 / count as f32; 2] }
    }

    /// The weight of the `k`th of them.
    #[inline(always)]
    fn weight(&self, k: usize) -> f32 {
        self.weights[k.min(1)]
    }
}

trait Resampled: Sync {
    /// What entry `i` of an axis of the result reads, 0 the vertical axis.
    fn taps(&self, axis: usize, i: usize, from: usize, to: usize) -> Taps;
}

impl Resampled for AvgPool2d {
    #[inline(always)]
    fn taps(&self, axis: usize, i: usize, from: usize, _: usize) -> Taps {
        let (size, padding, start) = (self.kernel[axis], self.padding[2 * axis], i * self.stride[axis]);
        let (first, end) = (start.saturating_sub(padding), (start + size).saturating_sub(padding).min(from));
        Taps::mean(first, end, if self.count_padding { size } else { end - first })
    }
}

impl Resampled for AdaptiveAvgPool2d {
    #[inline(always)]
    fn taps(&self, _: usize, i: usize, from: usize, to: usize) -> Taps {
        let (first, end) = (i * from / to, ((i + 1) * from).div_ceil(to));
        Taps::mean(first, end, end - first)
    }
}

impl Resampled for Upsample {
    #[inline(always)]
    fn taps(&self, _: usize, i: usize, from: usize, to: usize) -> Taps {
        let (first, [a, b]) = self.sources(i, from, to);
        Taps { first, count: if b == 0.0 { 1 } else { 2 }, weights: [a as f32, b as f32] }
    }
}

/// The sizes of a call.
#[derive(Clone, Copy)]
struct Sizes {
    channels: usize,
    from: [usize; 2],
    to: [usize; 2],
}

impl Sizes {
    fn new(shapes: &Shapes) -> Self {
        let (x, y) = (&shapes.inputs[0], &shapes.output);
        Self { channels: x[1], from: [x[2], x[3]], to: [y[2], y[3]] }
    }
}

/// `y[i] += weight · x[at + i]`.
#[inline(always)]
fn accumulate<const N: usize>(sum: &mut [f32; N], x: &[f32], at: usize, weight: f32) {
    let x = &x[at..][..N];
    for i in 0..N {
        sum[i] += weight * x[i];
    }
}

fn forward(op: &impl Resampled, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
    let (x, Sizes { channels, from: [h, w], to: [oh, ow] }) = (inputs[0].numbers(), Sizes::new(shapes));
    let width = ow * channels;
    pieces(output, width, 4 * width, |row, y| {
        let x = &x[row / oh * h * w * channels..][..h * w * channels];
        let rows = op.taps(0, row % oh, h, oh);
        vectorised(
            #[inline(always)]
            || {
                for (ox, y) in y.chunks_exact_mut(channels).enumerate() {
                    let columns = op.taps(1, ox, w, ow);
                    let mix = (&rows, &columns, w, channels);
                    by_blocks(
                        y,
                        #[inline(always)]
                        |c, y: &mut [f32; 32]| *y = mixed(x, mix, c),
                        #[inline(always)]
                        |c, y: &mut [f32; 8]| *y = mixed(x, mix, c),
                        #[inline(always)]
                        |c, y: &mut [f32; 1]| *y = mixed(x, mix, c),
                    );
                }
            },
        );
    });
}

/// `N` channels of a pixel of the result.
#[inline(always)]
fn mixed<const N: usize>(x: &[f32], (rows, columns, w, channels): (&Taps, &Taps, usize, usize), c: usize) -> [f32; N] {
    let mut sum = [0.0; N];
    for k in 0..rows.count {
        for l in 0..columns.count {
            let at = ((rows.first + k) * w + columns.first + l) * channels + c;
            accumulate(&mut sum, x, at, rows.weight(k) * columns.weight(l));
        }
    }
    sum
}

/// The first entry of the result at or behind `from` that does not end before entry `i` of the input.
#[inline(always)]
fn reader(mut o: usize, i: usize, to: usize, taps: impl Fn(usize) -> Taps) -> usize {
    while o < to {
        let taps = taps(o);
        if taps.first + taps.count > i {
            break;
        }
        o += 1;
    }
    o
}

fn pullback(op: &impl Resampled, call: &Backward, gradients: &mut [Option<Gradient>]) {
    let (Some(dx), Sizes { channels, from: [h, w], to: [oh, ow] }) = (&mut gradients[0], Sizes::new(call.shapes))
    else {
        return;
    };
    let (add, width) = (dx.add, w * channels);
    pieces(dx.data, width, 4 * width, |row, dx| {
        let (dy, iy) = (&call.cotangent[row / h * oh * ow * channels..][..oh * ow * channels], row % h);
        vectorised(
            #[inline(always)]
            || {
                let (down, across) = (|o: usize| op.taps(0, o, h, oh), |o: usize| op.taps(1, o, w, ow));
                let top = reader(0, iy, oh, down);
                let mut left = 0;
                if !add {
                    dx.fill(0.0);
                }
                for (ix, dx) in dx.chunks_exact_mut(channels).enumerate() {
                    left = reader(left, ix, ow, across);
                    for (oy, rows) in (top..oh).map(|o| (o, down(o))).take_while(|(_, taps)| taps.first <= iy) {
                        for (ox, columns) in (left..ow).map(|o| (o, across(o))).take_while(|(_, t)| t.first <= ix) {
                            let weight = rows.weight(iy - rows.first) * columns.weight(ix - columns.first);
                            let dy = &dy[(oy * ow + ox) * channels..][..channels];
                            for (g, d) in dx.iter_mut().zip(dy) {
                                *g += weight * d;
                            }
                        }
                    }
                }
            },
        );
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
