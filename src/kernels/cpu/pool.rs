//! `max_pool2d` and `global_avg_pool` over maps with their channels last; formulas stand with the ops.
//!
//! Some channels of a pixel are worked on at once, in registers. The way back of the maximum finds the winners of some rows of
//! positions anew, and each pixel then gathers from the positions that read it: so it is written once, and by one thread.

use super::math::vectorised;
use super::parallel::tasks;
use super::parallel::{pieces, scratch};
use super::tile::Results;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::global_avg_pool::GlobalAvgPool;
use crate::ops::max_pool2d::MaxPool2d;
use std::ops::Range;

/// Sizes of a pool, and where its windows lie.
#[derive(Clone, Copy)]
struct Pool<'a> {
    op: &'a MaxPool2d,
    channels: usize,
    image: [usize; 2],
    positions: [usize; 2],
}

impl<'a> Pool<'a> {
    fn new(op: &'a MaxPool2d, shapes: &Shapes) -> Self {
        let (x, y) = (&shapes.inputs[0], &shapes.output);
        Self { op, channels: x[1], image: [x[2], x[3]], positions: [y[2], y[3]] }
    }

    /// The pixels along an axis that position `o` reads, and the sample of the window that the first of them is.
    #[inline(always)]
    fn reads(&self, axis: usize, o: usize) -> (Range<usize>, usize) {
        let (start, before) = (o * self.op.stride[axis], self.op.padding[2 * axis]);
        let end = (start + self.op.kernel[axis]).saturating_sub(before).min(self.image[axis]);
        (start.saturating_sub(before)..end, before.saturating_sub(start))
    }

    /// The positions along an axis that read pixel `i`.
    #[inline(always)]
    fn readers(&self, axis: usize, i: usize) -> Range<usize> {
        let (stride, place) = (self.op.stride[axis], i + self.op.padding[2 * axis]);
        let first = (place + 1).saturating_sub(self.op.kernel[axis]).div_ceil(stride);
        first..(place / stride + 1).min(self.positions[axis])
    }

    /// The largest of each of `N` channels from `c` on at a position, and which sample of the window it was.
    #[inline(always)]
    fn best<const N: usize, const WHICH: bool>(
        &self,
        x: &[f32],
        oy: usize,
        ox: usize,
        c: usize,
    ) -> ([f32; N], [f32; N]) {
        let ((rows, ky), (columns, kx)) = (self.reads(0, oy), self.reads(1, ox));
        let (mut best, mut which) = ([f32::NEG_INFINITY; N], [0.0f32; N]);
        for (row, ky) in rows.clone().zip(ky..) {
            for (column, kx) in columns.clone().zip(kx..) {
                let x = &x[(row * self.image[1] + column) * self.channels + c..][..N];
                let sample = (ky * self.op.kernel[1] + kx) as f32;
                let first = WHICH && row == rows.start && column == columns.start;
                for i in 0..N {
                    // NaN wins over every number; of equal numbers the first wins.
                    let wins = (x[i] > best[i]) | x[i].is_nan() | first;
                    best[i] = if wins { x[i] } else { best[i] };
                    if WHICH {
                        which[i] = if wins { sample } else { which[i] };
                    }
                }
            }
        }
        (best, which)
    }

    /// The results, or the winners, of a row of positions of an image.
    fn row<const WHICH: bool>(&self, x: &[f32], oy: usize, y: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                for (ox, y) in y.chunks_exact_mut(self.channels).enumerate() {
                    by_blocks(
                        y,
                        #[inline(always)]
                        |c, y: &mut [f32; 32]| {
                            let (best, which) = self.best::<32, WHICH>(x, oy, ox, c);
                            *y = if WHICH { which } else { best };
                        },
                        #[inline(always)]
                        |c, y: &mut [f32; 8]| {
                            let (best, which) = self.best::<8, WHICH>(x, oy, ox, c);
                            *y = if WHICH { which } else { best };
                        },
                        #[inline(always)]
                        |c, y: &mut [f32; 1]| {
                            let (best, which) = self.best::<1, WHICH>(x, oy, ox, c);
                            *y = if WHICH { which } else { best };
                        },
                    );
                }
            },
        );
    }

    /// The gradient of row `iy` of an image; `winners` and `dy` begin with row `first` of positions.
    fn gather(&self, winners: &[f32], dy: &[f32], first: usize, iy: usize, add: bool, dx: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                let place = (iy, first, add);
                for (ix, dx) in dx.chunks_exact_mut(self.channels).enumerate() {
                    by_blocks(
                        dx,
                        #[inline(always)]
                        |c, dx: &mut [f32; 32]| self.pixel(winners, dy, place, ix, c, dx),
                        #[inline(always)]
                        |c, dx: &mut [f32; 8]| self.pixel(winners, dy, place, ix, c, dx),
                        #[inline(always)]
                        |c, dx: &mut [f32; 1]| self.pixel(winners, dy, place, ix, c, dx),
                    );
                }
            },
        );
    }

    #[inline(always)]
    fn pixel<const N: usize>(
        &self,
        winners: &[f32],
        dy: &[f32],
        (iy, first, add): (usize, usize, bool),
        ix: usize,
        c: usize,
        dx: &mut [f32; N],
    ) {
        let mut sum = if add { *dx } else { [0.0; N] };
        for oy in self.readers(0, iy) {
            for ox in self.readers(1, ix) {
                let [ky, kx] = [(iy, oy, 0), (ix, ox, 1)]
                    .map(|(i, o, axis)| i + self.op.padding[2 * axis] - o * self.op.stride[axis]);
                let sample = (ky * self.op.kernel[1] + kx) as f32;
                let at = ((oy - first) * self.positions[1] + ox) * self.channels + c;
                let (winners, dy) = (&winners[at..][..N], &dy[at..][..N]);
                for i in 0..N {
                    sum[i] += if winners[i] == sample { dy[i] } else { 0.0 };
                }
            }
        }
        *dx = sum;
    }
}

/// Calls one of three functions with the first channel and the channels of each block: as many as possible at once.
#[inline(always)]
pub fn by_blocks<const A: usize, const B: usize>(
    y: &mut [f32],
    many: impl Fn(usize, &mut [f32; A]),
    some: impl Fn(usize, &mut [f32; B]),
    one: impl Fn(usize, &mut [f32; 1]),
) {
    let (blocks, rest) = y.as_chunks_mut::<A>();
    let mut c = 0;
    for block in blocks {
        many(c, block);
        c += A;
    }
    let (blocks, rest) = rest.as_chunks_mut::<B>();
    for block in blocks {
        some(c, block);
        c += B;
    }
    for y in rest.as_chunks_mut::<1>().0 {
        one(c, y);
        c += 1;
    }
}

/// Rows of an image whose gradient is one task, so that winners are found twice for few rows of positions.
const ROWS: usize = 16;

impl Kernel for MaxPool2d {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, pool) = (inputs[0].numbers(), Pool::new(self, shapes));
        let ([h, w], [oh, ow], c) = (pool.image, pool.positions, pool.channels);
        pieces(output, ow * c, ow * c * self.kernel[0] * self.kernel[1], |row, y| {
            pool.row::<false>(&x[row / oh * h * w * c..][..h * w * c], row % oh, y);
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (Some(dx), x, pool) = (&mut gradients[0], call.inputs[0].numbers(), Pool::new(self, call.shapes)) else {
            return;
        };
        let ([h, w], [oh, ow], c, add) = (pool.image, pool.positions, pool.channels, dx.add);
        let (batch, together) = (call.shapes.inputs[0][0], h.div_ceil(ROWS));
        let dx = Results::new(dx.data);
        tasks(batch * together, ROWS.min(h) * w * c * 8, |task| {
            let (n, start) = (task / together, task % together * ROWS);
            let rows = start..h.min(start + ROWS);
            // SAFETY: the rows of a task are no other task's.
            let dx = unsafe { dx.part((n * h + rows.start) * w * c, rows.len() * w * c) };
            let readers = pool.readers(0, rows.start).start..pool.readers(0, rows.end - 1).end;
            let readers = readers.start.min(readers.end)..readers.end;
            scratch(readers.len() * ow * c, |winners| {
                for (oy, winners) in readers.clone().zip(winners.chunks_exact_mut(ow * c)) {
                    pool.row::<true>(&x[n * h * w * c..][..h * w * c], oy, winners);
                }
                let dy = &call.cotangent[(n * oh + readers.start) * ow * c..(n * oh + readers.end) * ow * c];
                for (iy, dx) in rows.zip(dx.chunks_exact_mut(w * c)) {
                    pool.gather(winners, dy, readers.start, iy, add, dx);
                }
            });
        });
    }
}

/// Pixels that are summed before their sum joins the others, which keeps the rounding small.
const PIXELS: usize = 32;

/// Channels of a task.
const CHANNELS: usize = 512;

impl Kernel for GlobalAvgPool {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, shape) = (inputs[0].numbers(), &shapes.inputs[0]);
        let (channels, places) = (shape[1], shape[2] * shape[3]);
        let parts = channels.div_ceil(CHANNELS);
        let output = Results::new(output);
        tasks(shape[0] * parts, places * channels.min(CHANNELS), |task| {
            let (n, first) = (task / parts, task % parts * CHANNELS);
            let count = CHANNELS.min(channels - first);
            // SAFETY: the channels of a task are no other task's.
            let y = unsafe { output.part(n * channels + first, count) };
            vectorised(
                #[inline(always)]
                || {
                    let mut sums = [0.0f32; CHANNELS];
                    y.fill(0.0);
                    for start in (0..places).step_by(PIXELS) {
                        let sums = &mut sums[..count];
                        sums.fill(0.0);
                        for place in start..places.min(start + PIXELS) {
                            let x = &x[(n * places + place) * channels + first..][..count];
                            for (s, x) in sums.iter_mut().zip(x) {
                                *s += x;
                            }
                        }
                        for (y, s) in y.iter_mut().zip(sums) {
                            *y += *s;
                        }
                    }
                    for y in y {
                        *y /= places as f32;
                    }
                },
            );
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (Some(dx), shape) = (&mut gradients[0], &call.shapes.inputs[0]) else { return };
        let (channels, places, add) = (shape[1], shape[2] * shape[3], dx.add);
        pieces(dx.data, places * channels, places * channels, |n, dx| {
            scratch(channels, |each| {
                let dy = &call.cotangent[n * channels..][..channels];
                each.iter_mut().zip(dy).for_each(|(e, d)| *e = d / places as f32);
                for dx in dx.chunks_exact_mut(channels) {
                    if add {
                        dx.iter_mut().zip(&*each).for_each(|(g, e)| *g += e);
                    } else {
                        dx.copy_from_slice(each);
                    }
                }
            });
        });
    }
}
