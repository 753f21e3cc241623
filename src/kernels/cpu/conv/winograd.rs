//! Convolution by Winograd's minimal filtering, for windows of 3 × 3 pixels that move by one: `m²` outputs take `(m + 2)²`
//! multiplications for each pair of channels rather than `9 m²`. Its sums round more, so a call says which `m` it allows.
//!
//! Tiles of inputs are transformed to `t²` frequencies; for each frequency, a matrix product over the channels; and the sums are
//! transformed back and finished. Where there are many tiles, a task takes some of them through all of that, and everything it
//! works on stays in a core's cache. Where there are few, weights are what is read, and each task has a panel of them and a frequency.

use super::transforms::{Input, Output, Weights};
use crate::kernels::cpu::bank::Bank;
use crate::kernels::cpu::parallel::{scratch, tasks};
use crate::kernels::cpu::tile::{Finish, ROWS, Results, Tile, WIDTH, chosen, transpose};
use std::ops::Range;

/// Numbers of the transformed input that a task works on.
const INPUTS: usize = 150_000;

/// Tiles are taken together in blocks from which all frequencies are computed, if there are as many blocks.
const BLOCKS: usize = 6;

/// Numbers of the weights that stay in a core's second cache from block to block.
const CACHED: usize = 3 << 16;

/// Numbers between the frequencies, so that they do not fall on the same lines of a cache.
const SKEW: usize = 16;

/// Channels come in vectors of that many numbers.
const VECTOR: usize = 16;

/// Sizes of a convolution whose windows are of the kind that this file is about.
#[derive(Clone, Copy, Debug)]
pub struct Winograd {
    batch: usize,
    /// Channels of the source and of the target.
    pub from: usize,
    pub to: usize,
    source: [usize; 2],
    target: [usize; 2],
    /// Rows above and columns before the source.
    padding: [usize; 2],
    /// Numbers from a weight to that of the next channel of the source, and of the target.
    strides: [usize; 2],
    /// Whether windows are read from their last sample to their first.
    turned: bool,
    /// Outputs of a tile in each direction: 2 or 4.
    pub m: usize,
}

/// What it costs to read a weight from memory, in multiplications of a direct convolution; and to transform it and to write it.
const READ: usize = 40;
const PACK: usize = 40;

/// What the two transforms of a tile cost for each channel, in multiplications.
const TRANSFORMS: [usize; 2] = [64, 256];

impl Winograd {
    /// The filters read the image.
    pub fn filter(bank: &Bank) -> Option<Self> {
        let &Bank { batch, groups, rows, channels, sliding } = bank;
        let window = sliding.window;
        let plain = window.kernel == [3; 2] && window.stride == [1; 2] && window.dilation == [1; 2];
        let fits = plain && groups == 1 && rows.is_multiple_of(VECTOR) && channels.is_multiple_of(VECTOR);
        let [top, _, left, _] = window.padding;
        fits.then_some(Self {
            batch,
            from: channels,
            to: rows,
            source: sliding.image,
            target: sliding.positions,
            padding: [top, left],
            strides: [9, 9 * channels],
            turned: false,
            m: 2,
        })
    }

    /// The transpose of the filters: a filter too, with its windows turned and what is left of two pixels of padding.
    pub fn stamp(bank: &Bank) -> Option<Self> {
        let filter = Self::filter(bank)?;
        let Self { from, to, source, target, padding: [top, left], strides: [a, b], .. } = filter;
        let padding = [2usize.checked_sub(top)?, 2usize.checked_sub(left)?];
        Some(Self {
            from: to,
            to: from,
            source: target,
            target: source,
            padding,
            strides: [b, a],
            turned: true,
            ..filter
        })
    }

    /// The way that costs least: multiplications, transforms, and weights to read, of which there are `t² / 9` times as many as
    /// in a direct convolution. So few pixels of many channels are computed directly, and tiles are the larger the more there
    /// are, up to the size that is allowed. In a training step the weights are transformed each time.
    pub fn best(self, largest: usize, trains: bool) -> Option<Self> {
        let pairs = self.to.next_multiple_of(WIDTH) * self.from;
        let weight = READ + if trains { PACK } else { 0 };
        let direct = 9 * pairs * (self.batch * self.target[0] * self.target[1] + weight);
        let cost = |way: &Self| {
            let transforms = TRANSFORMS[way.m / 2 - 1] * (self.to + self.from) * way.tiles();
            // A matrix product of few rows waits for its weights.
            way.frequencies() * pairs * (way.tiles().max(ROWS / 2) + weight) + transforms
        };
        self.least(largest, direct, cost)
    }

    /// The tile of at most that size that costs least, if it costs less than `direct`.
    pub fn least(self, largest: usize, direct: usize, cost: impl Fn(&Self) -> usize) -> Option<Self> {
        let ways = [2, 4].into_iter().filter(|m| *m <= largest).map(|m| Self { m, ..self });
        let best = ways.min_by_key(&cost)?;
        (cost(&best) < direct).then_some(best)
    }

    /// The way that weights of this length are prepared for.
    pub fn prepared(self, len: usize) -> Option<Self> {
        [2, 4].map(|m| Self { m, ..self }).into_iter().find(|way| way.packed_len() == len)
    }

    fn t(&self) -> usize {
        self.m + 2
    }

    pub fn frequencies(&self) -> usize {
        self.t() * self.t()
    }

    /// Tiles down and across.
    fn grid(&self) -> [usize; 2] {
        self.target.map(|size| size.div_ceil(self.m))
    }

    pub fn tiles(&self) -> usize {
        self.batch * self.grid()[0] * self.grid()[1]
    }

    pub fn places(&self) -> usize {
        self.batch * self.target[0] * self.target[1]
    }

    pub fn panels(&self) -> usize {
        self.to.div_ceil(WIDTH)
    }

    /// Filters of a panel.
    pub fn columns(&self, panel: usize) -> usize {
        WIDTH.min(self.to - panel * WIDTH)
    }

    pub fn packed_len(&self) -> usize {
        self.frequencies() * self.from * self.panels() * WIDTH
    }

    /// Transforms the weights to `[panel][frequency][channel][WIDTH]`.
    pub fn pack(&self, w: &[f32], packed: &mut [f32]) {
        let (t2, channels, panels) = (self.frequencies(), self.from, self.panels());
        let results = Results::new(packed);
        let blocks = channels.div_ceil(VECTOR);
        let arch = (chosen().arch)();
        tasks(panels * blocks, 8 * VECTOR * t2 * WIDTH, |task| {
            let (panel, first) = (task / blocks, task % blocks * VECTOR);
            let width = self.columns(panel);
            let mut samples = [0.0f32; VECTOR * 9 * WIDTH];
            let (w, [from, to]) = (&w[panel * WIDTH * self.strides[1]..], self.strides);
            if from == 9 {
                transpose(&w[first * from..], to, width, VECTOR * 9, &mut samples, WIDTH);
            } else {
                for (c, samples) in samples.chunks_exact_mut(9 * WIDTH).enumerate() {
                    transpose(&w[(first + c) * from..], to, width, 9, samples, WIDTH);
                }
            }
            for (c, g) in samples.as_chunks::<{ 9 * WIDTH }>().0.iter().enumerate() {
                let (u, start, apart) = (results, (panel * t2 * channels + first + c) * WIDTH, channels * WIDTH);
                match self.m {
                    2 => arch.dispatch(Weights::<4> { g, turned: self.turned, u, start, apart }),
                    _ => arch.dispatch(Weights::<6> { g, turned: self.turned, u, start, apart }),
                }
            }
        });
    }

    pub fn with_packed<R>(&self, w: &[f32], f: impl FnOnce(&[f32]) -> R) -> R {
        scratch(self.packed_len(), |packed| {
            self.pack(w, packed);
            f(packed)
        })
    }

    /// `y = f(w ⋆ x + …)`.
    pub fn run(&self, packed: &[f32], x: &[f32], y: &mut [f32], finish: &Finish) {
        if y.is_empty() {
            return;
        }
        let (tiles, channels, t2) = (self.tiles(), self.from, self.frequencies());
        let most = (INPUTS / (t2 * channels) / ROWS * ROWS).clamp(ROWS, 2 * ROWS);
        let blocks = tiles.div_ceil(most);
        let work = t2 * tiles * channels * self.to;
        let y = Results::new(y);
        let state = |tiles: Range<usize>| State { way: self, packed, x, y, finish, tiles };
        // What passes through memory: every block reads all weights, or everything between the steps is written and read.
        let weights = self.packed_len();
        let steps = weights + 2 * t2 * tiles * (channels + self.to);
        if blocks >= BLOCKS && (weights <= CACHED || blocks * weights <= steps) {
            return tasks(blocks, work / blocks, |b| {
                let state = state(tiles * b / blocks..tiles * (b + 1) / blocks);
                let (inputs, sums) = state.apart();
                scratch(t2 * (inputs + sums), |buffer| {
                    let (v, z) = buffer.split_at_mut(t2 * inputs);
                    let results = Results::new(v);
                    state.tiles.clone().for_each(|tile| state.input(tile, results));
                    let v = &*v;
                    for panel in 0..self.panels() {
                        let sums = Results::new(z);
                        (0..t2).for_each(|f| state.multiply(f, panel, v, sums, 0));
                        state.tiles.clone().for_each(|tile| state.output(tile, panel, z));
                    }
                });
            });
        }
        let state = state(0..tiles);
        let (inputs, sums) = state.apart();
        scratch(t2 * (inputs + sums * self.panels()), |buffer| {
            let (v, z) = buffer.split_at_mut(t2 * inputs);
            let results = Results::new(v);
            tasks(tiles, 8 * t2 * channels, |tile| state.input(tile, results));
            let (v, size) = (&*v, t2 * sums);
            let all = Results::new(z);
            tasks(t2 * self.panels(), work / (t2 * self.panels()), |task| {
                // A frequency of the inputs stays in a cache for all panels.
                let (f, panel) = (task / self.panels(), task % self.panels());
                state.multiply(f, panel, v, all, panel * size);
            });
            tasks(tiles * self.panels(), 8 * t2 * WIDTH, |task| {
                let (tile, panel) = (task / self.panels(), task % self.panels());
                state.output(tile, panel, &z[panel * size..][..size]);
            });
        });
    }
}

/// Some tiles on their way.
struct State<'a> {
    way: &'a Winograd,
    packed: &'a [f32],
    x: &'a [f32],
    y: Results<'a>,
    finish: &'a Finish<'a>,
    tiles: Range<usize>,
}

impl Winograd {
    /// Image of a tile, and the first row and column of its outputs.
    pub fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let [down, across] = self.grid();
        let rest = tile % (down * across);
        (tile / (down * across), [rest / across * self.m, rest % across * self.m])
    }

    /// The first number of a tile's outputs, numbers to the next row and pixel, and the rows and columns that it has.
    pub fn outputs(&self, tile: usize) -> ([usize; 3], [usize; 2]) {
        let ([oh, ow], (n, [i, j])) = (self.target, self.place(tile));
        let to = [((n * oh + i) * ow + j) * self.to, ow * self.to, self.to];
        (to, [self.m.min(oh - i), self.m.min(ow - j)])
    }

    /// Transforms the inputs of a tile, all channels of frequency `f` to `v[start + f · apart]`.
    pub fn input(&self, tile: usize, x: &[f32], v: Results, start: usize, apart: usize) {
        let (t, [h, w], channels) = (self.t(), self.source, self.from);
        let (n, [i, j]) = self.place(tile);
        let [top, left] = self.padding;
        let image = &x[n * h * w * channels..][..h * w * channels];
        if i >= top && j >= left && i - top + t <= h && j - left + t <= w {
            let x = &image[((i - top) * w + j - left) * channels..];
            return self.transform(x, w * channels, v, start, apart);
        }
        scratch(t * t * channels, |window| {
            for (k, pixel) in window.chunks_exact_mut(channels).enumerate() {
                let (row, column) = ((i + k / t).wrapping_sub(top), (j + k % t).wrapping_sub(left));
                if row < h && column < w {
                    pixel.copy_from_slice(&image[(row * w + column) * channels..][..channels]);
                } else {
                    pixel.fill(0.0);
                }
            }
            self.transform(window, t * channels, v, start, apart);
        });
    }

    /// Transforms a tile whose inputs begin at `x[0]`.
    fn transform(&self, x: &[f32], row: usize, v: Results, start: usize, apart: usize) {
        let (pixel, arch) = (self.from, (chosen().arch)());
        match self.m {
            2 => arch.dispatch(Input::<4> { x, row, pixel, v, start, apart }),
            _ => arch.dispatch(Input::<6> { x, row, pixel, v, start, apart }),
        }
    }
}

impl State<'_> {
    /// Numbers from one frequency to the next, of the inputs and of the sums of a panel.
    fn apart(&self) -> (usize, usize) {
        (self.tiles.len() * self.way.from + SKEW, self.tiles.len() * WIDTH + SKEW)
    }

    fn input(&self, tile: usize, v: Results) {
        self.way.input(tile, self.x, v, (tile - self.tiles.start) * self.way.from, self.apart().0);
    }

    /// The sums over the channels, of a frequency and a panel, for all tiles: to `z[at + f · apart + tile · WIDTH]`.
    fn multiply(&self, f: usize, panel: usize, v: &[f32], z: Results, at: usize) {
        let (channels, (inputs, sums)) = (self.way.from, self.apart());
        let size = channels * WIDTH;
        let weights = &self.packed[(panel * self.way.frequencies() + f) * size..][..size];
        let count = self.tiles.len();
        let tiles = count.div_ceil(ROWS);
        for t in 0..tiles {
            let (first, end) = (count * t / tiles, count * (t + 1) / tiles);
            let from: [usize; ROWS] = std::array::from_fn(|p| (first + p) * channels);
            let to: [usize; ROWS] = std::array::from_fn(|p| at + f * sums + (first + p) * WIDTH);
            let tile = Tile::rows(&v[f * inputs..], &from[..end - first], channels, weights, self.way.columns(panel));
            // SAFETY: a frequency of a panel has numbers of its own, and one task.
            unsafe { tile.run(z, &to[..end - first], &Finish::default()) };
        }
    }

    fn output(&self, tile: usize, panel: usize, z: &[f32]) {
        let apart = self.apart().1;
        let (column, columns) = (panel * WIDTH, self.way.columns(panel));
        let z = &z[(tile - self.tiles.start) * WIDTH..];
        let ([first, row, pixel], size) = self.way.outputs(tile);
        let to = [first + column, row, pixel];
        let finish = Finish { bias: self.finish.bias.map(|b| &b[column..column + columns]), ..*self.finish };
        let (y, arch) = (self.y, (chosen().arch)());
        match self.way.m {
            2 => arch.dispatch(Output::<4, 2> { z, apart, columns, size, y, to, finish }),
            _ => arch.dispatch(Output::<6, 4> { z, apart, columns, size, y, to, finish }),
        }
    }
}
