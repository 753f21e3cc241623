//! `max_pool2d` and `global_avg_pool` over maps with their channels last; formulas stand with the ops.
//!
//! A register of channels of a pixel is worked on at once. The way back of the maximum finds the winners anew. Where windows lie
//! apart, a position writes the pixels of its window; elsewhere the winners of some rows of positions are kept, and each pixel
//! gathers from the positions that read it. Either way it is written once, and by one thread.

use super::lanes::{load, store};
use super::math::vectorised;
use super::parallel::tasks;
use super::parallel::{pieces, scratch};
use super::tile::Results;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::global_avg_pool::GlobalAvgPool;
use crate::ops::max_pool2d::MaxPool2d;
use pulp::{Simd, WithSimd};
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

    #[inline(always)]
    fn window(&self, oy: usize, ox: usize) -> Window {
        let ((rows, ky), (columns, kx)) = (self.reads(0, oy), self.reads(1, ox));
        Window { rows, columns, first: (ky * self.op.kernel[1] + kx) as f32 }
    }

    /// Channels from `first` on, as many as a register has.
    #[inline(always)]
    fn lanes<S: Simd>(&self, first: usize) -> Range<usize> {
        first..self.channels.min(first + S::F32_LANES)
    }

    /// The largest of each of some channels at a position, and which sample of the window it was.
    #[inline(always)]
    fn winner<S: Simd>(&self, simd: S, x: &[f32], window: &Window, lanes: &Range<usize>) -> [S::f32s; 2] {
        let at = |row: usize, column: usize| {
            let start = (row * self.image[1] + column) * self.channels + lanes.start;
            load(simd, &x[start..start + lanes.len()])
        };
        let (rows, columns) = (window.rows.clone(), window.columns.clone());
        if rows.is_empty() || columns.is_empty() {
            return [simd.splat_f32s(f32::NEG_INFINITY), simd.splat_f32s(0.0)];
        }
        let (mut best, mut which) = (at(rows.start, columns.start), simd.splat_f32s(window.first));
        let mut start = window.first;
        for row in rows {
            let mut sample = start;
            for column in columns.clone() {
                // NaN wins over every number; of equal numbers the first wins.
                let x = at(row, column);
                let wins = simd.or_m32s(simd.greater_than_f32s(x, best), simd.not_m32s(simd.equal_f32s(x, x)));
                best = simd.select_f32s(wins, x, best);
                which = simd.select_f32s(wins, simd.splat_f32s(sample), which);
                sample += 1.0;
            }
            start += self.op.kernel[1] as f32;
        }
        [best, which]
    }

    /// Whether no pixel is read by two windows.
    fn apart(&self) -> bool {
        (0..2).all(|axis| self.op.stride[axis] >= self.op.kernel[axis])
    }

    /// The rows of an image that row `oy` of positions writes the gradient of, where windows lie apart: all rows belong to one.
    fn own_rows(&self, oy: usize) -> Range<usize> {
        let start = |oy: usize| (oy * self.op.stride[0]).saturating_sub(self.op.padding[0]).min(self.image[0]);
        let end = if oy + 1 == self.positions[0] { self.image[0] } else { start(oy + 1) };
        (if oy == 0 { 0 } else { start(oy) })..end
    }
}

/// The pixels that a position reads, and the sample of the window that the first of them is.
struct Window {
    rows: Range<usize>,
    columns: Range<usize>,
    first: f32,
}

/// The results, or the winners, of row `oy` of positions of an image.
struct Row<'a, const WHICH: bool> {
    pool: Pool<'a>,
    x: &'a [f32],
    oy: usize,
    y: &'a mut [f32],
}

impl<const WHICH: bool> WithSimd for Row<'_, WHICH> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (ox, y) in self.y.chunks_exact_mut(self.pool.channels).enumerate() {
            let window = self.pool.window(self.oy, ox);
            for first in (0..self.pool.channels).step_by(S::F32_LANES) {
                let lanes = self.pool.lanes::<S>(first);
                let [best, which] = self.pool.winner(simd, self.x, &window, &lanes);
                store(simd, &mut y[lanes], if WHICH { which } else { best });
            }
        }
    }
}

/// The gradient of the rows that are row `oy`'s own, where windows lie apart.
struct Spread<'a> {
    pool: Pool<'a>,
    x: &'a [f32],
    /// Of row `oy`.
    dy: &'a [f32],
    oy: usize,
    add: bool,
    dx: &'a mut [f32],
}

impl WithSimd for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (pool, zero) = (self.pool, simd.splat_f32s(0.0));
        let (kernel, [_, width]) = (pool.op.kernel, pool.image);
        let top = pool.own_rows(self.oy).start;
        if !self.add {
            let covered = pool.positions[1] * kernel[1] == width && self.dx.len() == kernel[0] * width * pool.channels;
            if !covered || kernel != pool.op.stride || pool.op.padding != [0; 4] {
                self.dx.fill(0.0);
            }
        }
        for (ox, dy) in self.dy.chunks_exact(pool.channels).enumerate() {
            let window = pool.window(self.oy, ox);
            for first in (0..pool.channels).step_by(S::F32_LANES) {
                let lanes = pool.lanes::<S>(first);
                let [_, which] = pool.winner(simd, self.x, &window, &lanes);
                let dy = load(simd, &dy[lanes.clone()]);
                let mut start = window.first;
                for row in window.rows.clone() {
                    let mut sample = start;
                    for column in window.columns.clone() {
                        let at = ((row - top) * width + column) * pool.channels + first;
                        let dx = &mut self.dx[at..at + lanes.len()];
                        let own = simd.select_f32s(simd.equal_f32s(which, simd.splat_f32s(sample)), dy, zero);
                        let own = if self.add { simd.add_f32s(load(simd, dx), own) } else { own };
                        store(simd, dx, own);
                        sample += 1.0;
                    }
                    start += kernel[1] as f32;
                }
            }
        }
    }
}

/// The gradient of row `iy` of an image; `winners` and `dy` begin with row `first` of positions.
struct Gather<'a> {
    pool: Pool<'a>,
    winners: &'a [f32],
    dy: &'a [f32],
    first: usize,
    iy: usize,
    add: bool,
    dx: &'a mut [f32],
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (pool, zero) = (self.pool, simd.splat_f32s(0.0));
        let sample = |axis: usize, i: usize, o: usize| i + pool.op.padding[2 * axis] - o * pool.op.stride[axis];
        let down = pool.readers(0, self.iy);
        for (ix, dx) in self.dx.chunks_exact_mut(pool.channels).enumerate() {
            let across = pool.readers(1, ix);
            for start in (0..pool.channels).step_by(S::F32_LANES) {
                let lanes = pool.lanes::<S>(start);
                let mut sum = if self.add { load(simd, &dx[lanes.clone()]) } else { zero };
                for oy in down.clone() {
                    for ox in across.clone() {
                        let sample = (sample(0, self.iy, oy) * pool.op.kernel[1] + sample(1, ix, ox)) as f32;
                        let at = ((oy - self.first) * pool.positions[1] + ox) * pool.channels + start;
                        let winners = load(simd, &self.winners[at..at + lanes.len()]);
                        let dy = load(simd, &self.dy[at..at + lanes.len()]);
                        let wins = simd.equal_f32s(winners, simd.splat_f32s(sample));
                        sum = simd.add_f32s(sum, simd.select_f32s(wins, dy, zero));
                    }
                }
                store(simd, &mut dx[lanes], sum);
            }
        }
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
            let x = &x[row / oh * h * w * c..][..h * w * c];
            (super::tile::chosen().arch)().dispatch(Row::<false> { pool, x, oy: row % oh, y });
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (Some(dx), x, pool) = (&mut gradients[0], call.inputs[0].numbers(), Pool::new(self, call.shapes)) else {
            return;
        };
        let ([h, w], [oh, ow], c, add) = (pool.image, pool.positions, pool.channels, dx.add);
        let (batch, together) = (call.shapes.inputs[0][0], h.div_ceil(ROWS));
        let (dx, arch) = (Results::new(dx.data), (super::tile::chosen().arch)());
        if pool.apart() && oh > 0 {
            return tasks(batch * oh, self.stride[0] * w * c * 4, |task| {
                let (n, oy) = (task / oh, task % oh);
                let rows = pool.own_rows(oy);
                // SAFETY: every row of an image is the own row of one task.
                let dx = unsafe { dx.part((n * h + rows.start) * w * c, rows.len() * w * c) };
                let (x, dy) = (&x[n * h * w * c..][..h * w * c], &call.cotangent[task * ow * c..][..ow * c]);
                arch.dispatch(Spread { pool, x, dy, oy, add, dx });
            });
        }
        tasks(batch * together, ROWS.min(h) * w * c * 8, |task| {
            let (n, start) = (task / together, task % together * ROWS);
            let rows = start..h.min(start + ROWS);
            // SAFETY: the rows of a task are no other task's.
            let dx = unsafe { dx.part((n * h + rows.start) * w * c, rows.len() * w * c) };
            let readers = pool.readers(0, rows.start).start..pool.readers(0, rows.end - 1).end;
            let readers = readers.start.min(readers.end)..readers.end;
            scratch(readers.len() * ow * c, |winners| {
                for (oy, y) in readers.clone().zip(winners.chunks_exact_mut(ow * c)) {
                    arch.dispatch(Row::<true> { pool, x: &x[n * h * w * c..][..h * w * c], oy, y });
                }
                let dy = &call.cotangent[(n * oh + readers.start) * ow * c..(n * oh + readers.end) * ow * c];
                for (iy, dx) in rows.zip(dx.chunks_exact_mut(w * c)) {
                    arch.dispatch(Gather { pool, winners, dy, first: readers.start, iy, add, dx });
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
