//! The gradient of a filter bank: for every sample of the window and channel, and every filter, a sum over all pixels.
//!
//! `dw[o, c, k] = Σ_{n, p} y[n, p, o] · x[n, pixel(p, k), c]`, with `y` the filters' side and `x` the images. A row of a tile is a
//! sample and a channel, its columns are filters, its runs the rows of positions. A task has some channels of one panel of filters,
//! copies its channels of some rows with zeros around them, and adds up; where there are few tasks, the batch is cut in parts that
//! are summed in their order.

use super::frame::{Frame, Images};
use crate::kernels::cpu::Gradient;
use crate::kernels::cpu::bank::Bank;
use crate::kernels::cpu::parallel::{scratch, tasks};
use crate::kernels::cpu::tile::{Finish, ROWS, Results, Tile, WIDTH};
use std::ops::Range;

/// Numbers of the images and of the results that a task works on at a time.
const PIXELS: usize = 1 << 16;

/// Tasks that there should be, as long as each has enough multiplications.
const TASKS: usize = 16;
const WORK: usize = 1 << 19;

/// Numbers in all parts of the sum together.
const PARTIAL: usize = 1 << 19;

struct Sum<'a> {
    bank: &'a Bank,
    y: &'a [f32],
    x: &'a [f32],
    /// Channels of a task.
    some: usize,
    parts: usize,
}

/// Some rows of positions of some images, and the filters' side of them: `[images][rows][positions across][WIDTH]`.
struct Piece<'a> {
    images: usize,
    rows: usize,
    channels: usize,
    width: usize,
    y: &'a [f32],
}

/// Computes the gradient, and writes or adds it.
pub fn gradient(bank: &Bank, y: &[f32], x: &[f32], dw: &mut Gradient) {
    let samples = bank.sliding.taps();
    let work =
        bank.batch * bank.sliding.places() * samples * bank.groups * bank.channels * bank.rows.next_multiple_of(WIDTH);
    let wanted = (work / WORK).clamp(1, TASKS);
    let panels = bank.groups * bank.rows.div_ceil(WIDTH);
    let ranges = wanted.div_ceil(panels).clamp(1, bank.channels.div_ceil(16));
    let some = bank.channels.div_ceil(ranges);
    let ranges = bank.channels.div_ceil(some);
    let rows = bank.batch * bank.sliding.positions[0];
    let mut parts = wanted.div_ceil(panels * ranges).min(rows);
    parts = parts.min(PARTIAL / (panels * WIDTH * bank.channels * samples)).max(1);
    let sum = Sum { bank, y, x, some, parts };
    let size = samples * some * WIDTH;
    let (count, add) = (panels * ranges, dw.add);
    let results = Results::new(dw.data);
    let each = work / (count * parts).max(1);
    if parts == 1 {
        return tasks(count, each, |task| {
            scratch(size, |sums| {
                sum.part(task, 0, sums);
                sum.unpack(task, sums, results, add);
            });
        });
    }
    scratch(count * parts * size, |partial| {
        let shared = Results::new(partial);
        tasks(count * parts, each, |task| {
            // SAFETY: every task has a place of its own.
            let sums = unsafe { shared.part(task * size, size) };
            sum.part(task / parts, task % parts, sums);
        });
        tasks(count, parts * size, |task| {
            // SAFETY: every task has the places of its own parts.
            let sums = unsafe { shared.part(task * parts * size, parts * size) };
            let (sum_of_all, others) = sums.split_at_mut(size);
            for other in others.chunks_exact(size) {
                sum_of_all.iter_mut().zip(other).for_each(|(s, o)| *s += o);
            }
            sum.unpack(task, sum_of_all, results, add);
        });
    });
}

impl Sum<'_> {
    /// Group, panel, and channels of a task.
    fn task(&self, task: usize) -> (usize, usize, Range<usize>) {
        let (panels, ranges) = (self.bank.rows.div_ceil(WIDTH), self.bank.channels.div_ceil(self.some));
        let (g, panel, range) = (task / ranges / panels, task / ranges % panels, task % ranges);
        (g, panel, range * self.some..((range + 1) * self.some).min(self.bank.channels))
    }

    /// The sums of a part of all rows of positions: `[samples · channels][WIDTH]`.
    fn part(&self, task: usize, part: usize, sums: &mut [f32]) {
        let (bank, (_, _, channels)) = (self.bank, self.task(task));
        let [oh, ow] = bank.sliding.positions;
        let rows = bank.batch * oh;
        let rows = rows * part / self.parts..rows * (part + 1) / self.parts;
        let line = bank.sliding.window.stride[0] * bank.sliding.image[1] * channels.len() + ow * WIDTH;
        let most = (PIXELS / line.max(1)).max(1);
        sums.fill(0.0);
        let mut row = rows.start;
        while row < rows.end {
            let (n, first, left) = (row / oh, row % oh, rows.end - row);
            let (whole, together) = (left / oh, most / oh);
            if first == 0 && whole > 0 && together > 0 {
                let images = whole.div_ceil(whole.div_ceil(together));
                self.chunk(task, n..n + images, 0..oh, sums);
                row += images * oh;
            } else {
                // The rows of an image that are left, in equal chunks.
                let left = left.min(oh - first);
                let count = left.div_ceil(left.div_ceil(most));
                self.chunk(task, n..n + 1, first..first + count, sums);
                row += count;
            }
        }
    }

    /// Adds what some rows of positions of some images contribute.
    fn chunk(&self, task: usize, n: Range<usize>, rows: Range<usize>, sums: &mut [f32]) {
        let (bank, (g, panel, channels)) = (self.bank, self.task(task));
        let (sliding, all) = (&bank.sliding, bank.groups * bank.rows);
        let ([oh, ow], window) = (sliding.positions, sliding.window);
        let [down, _, across, _] = window.padding;
        let reads = |axis: usize, q: &Range<usize>, padding: usize| {
            let start = (q.start * window.stride[axis]) as isize - padding as isize;
            (start, (q.len() - 1) * window.stride[axis] + (window.kernel[axis] - 1) * window.dilation[axis] + 1)
        };
        let (rows_read, columns_read) = (reads(0, &rows, down), reads(1, &(0..ow), across));
        let inside = |(start, count): (isize, usize), size: usize| start >= 0 && start as usize + count <= size;
        let images = Images { data: self.x, size: sliding.image, channels: bank.groups * bank.channels };
        let column = g * bank.rows + panel * WIDTH;
        let width = WIDTH.min(bank.rows - panel * WIDTH);
        let first = g * bank.channels + channels.start;
        let sums = &mut sums[..sliding.taps() * channels.len() * WIDTH];
        let size = rows.len() * ow * WIDTH;
        // Filters lie far apart in a pixel; side by side, they stay in the first cache from tile to tile.
        scratch(n.len() * size, |y| {
            for (n, y) in n.clone().zip(y.chunks_exact_mut(size)) {
                let from = self.y[(n * oh + rows.start) * ow * all..].chunks_exact(all);
                y.chunks_exact_mut(WIDTH)
                    .zip(from)
                    .for_each(|(y, from)| y[..width].copy_from_slice(&from[column..column + width]));
            }
            let piece = Piece { images: n.len(), rows: rows.len(), channels: channels.len(), width, y };
            if inside(rows_read, sliding.image[0]) && inside(columns_read, sliding.image[1]) {
                let frame = Frame::whole(sliding.image, images.channels);
                let start = n.start * frame.image() + frame.down(rows_read.0) + frame.across(columns_read.0) + first;
                return self.tiles(&self.x[start..], frame, &piece, sums);
            }
            let frame = Frame { rows: rows_read, columns: columns_read, fold: 1, pixel: channels.len() };
            scratch(n.len() * frame.image(), |copy| {
                n.clone()
                    .zip(copy.chunks_exact_mut(frame.image()))
                    .for_each(|(n, copy)| frame.copy(images, n, first, copy));
                self.tiles(copy, frame, &piece, sums);
            });
        });
    }

    /// Adds to the sums of all samples and channels, over rows of positions whose first reads `x` from its beginning.
    fn tiles(&self, x: &[f32], frame: Frame, piece: &Piece, sums: &mut [f32]) {
        let &Piece { images, rows, channels, width, y } = piece;
        let sliding = &self.bank.sliding;
        let (window, ow) = (sliding.window, sliding.positions[1]);
        let count = sliding.taps() * channels;
        let tiles = count.div_ceil(ROWS);
        let results = Results::new(sums);
        let (mut sample, mut channel) = (0, 0);
        for t in 0..tiles {
            let (start, end) = (count * t / tiles, count * (t + 1) / tiles);
            let (mut reads, mut writes) = ([0; ROWS], [0; ROWS]);
            for p in 0..end - start {
                let (ky, kx) = (sample / window.kernel[1], sample % window.kernel[1]);
                let at = ky * window.dilation[0] * frame.row() + kx * window.dilation[1] * frame.pixel;
                (reads[p], writes[p]) = (at + channel, (start + p) * WIDTH);
                channel += 1;
                if channel == channels {
                    (channel, sample) = (0, sample + 1);
                }
            }
            let tile = Tile {
                x_run: window.stride[0] * frame.row(),
                x_step: window.stride[1] * frame.pixel,
                runs: rows,
                w_run: ow * WIDTH,
                repeats: images,
                x_repeat: frame.image(),
                w_repeat: rows * ow * WIDTH,
                ..Tile::rows(x, &reads[..end - start], ow, y, width)
            };
            // SAFETY: this task alone has the sums, and the tiles follow each other.
            unsafe { tile.run(results, &writes[..end - start], &Finish { add: true, ..Finish::default() }) };
        }
    }

    /// Moves the sums of a task to their places in `[filters, channels, samples]`.
    fn unpack(&self, task: usize, sums: &[f32], dw: Results, add: bool) {
        let (bank, (g, panel, channels)) = (self.bank, self.task(task));
        let (samples, own) = (bank.sliding.taps(), channels.len());
        let width = WIDTH.min(bank.rows - panel * WIDTH);
        for c in 0..own {
            for o in 0..width {
                let filter = g * bank.rows + panel * WIDTH + o;
                let at = (filter * bank.channels + channels.start + c) * samples;
                // SAFETY: the weights of these filters and channels belong to this task alone.
                let dw = unsafe { dw.part(at, samples) };
                let sums = sums[c * WIDTH + o..].iter().step_by(own * WIDTH);
                if add {
                    dw.iter_mut().zip(sums).for_each(|(g, s)| *g += s);
                } else {
                    dw.iter_mut().zip(sums).for_each(|(g, s)| *g = *s);
                }
            }
        }
    }
}
