//! Convolution by Winograd's minimal filtering, for windows of 3 × 3 pixels that move by one: `m²` outputs take `(m + 2)²`
//! multiplications for each pair of channels rather than `9 m²`. Its sums round more, so training steps do not use it.
//!
//! Tiles of inputs are transformed to `t²` frequencies; for each frequency, a matrix product over the channels; and the sums are
//! transformed back and finished. Where there are many tiles, a task takes some of them through all of that, and everything it
//! works on stays in a core's cache. Where there are few, weights are what is read, and each task has a panel of them and a frequency.

use super::transforms::{self, Input, Output};
use crate::kernels::cpu::bank::Bank;
use crate::kernels::cpu::parallel::{scratch, tasks};
use crate::kernels::cpu::tile::{Finish, ROWS, Results, Tile, WIDTH, chosen};
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

#[derive(Clone, Copy, Debug)]
pub struct Winograd<'a> {
    bank: &'a Bank,
    /// Outputs of a tile in each direction: 2 or 4.
    m: usize,
}

/// What it costs to read a weight from memory, in multiplications of a direct convolution.
const READ: usize = 40;

/// What the two transforms of a tile cost for each channel, in multiplications.
const TRANSFORMS: [usize; 2] = [64, 256];

/// Whether the windows are of the kind that this file is about.
fn fits(bank: &Bank) -> bool {
    let window = bank.sliding.window;
    let plain = window.kernel == [3; 2] && window.stride == [1; 2] && window.dilation == [1; 2];
    plain && bank.groups == 1 && bank.rows.is_multiple_of(VECTOR) && bank.channels.is_multiple_of(VECTOR)
}

impl<'a> Winograd<'a> {
    /// The way that costs least: multiplications, transforms, and weights to read, of which there are `t² / 9` times as many as
    /// in a direct convolution. So few pixels of many channels are computed directly, and tiles are the larger the more there are.
    pub fn choose(bank: &'a Bank) -> Option<Self> {
        let pairs = bank.rows.next_multiple_of(WIDTH) * bank.channels;
        let direct = 9 * pairs * (bank.batch * bank.sliding.places() + READ);
        let cost = |way: &Self| {
            let transforms = TRANSFORMS[way.m / 2 - 1] * (bank.rows + bank.channels) * way.tiles();
            // A matrix product of few rows waits for its weights.
            way.frequencies() * pairs * (way.tiles().max(ROWS / 2) + READ) + transforms
        };
        let ways = [2, 4].map(|m| Self { bank, m });
        let best = ways.into_iter().min_by_key(cost).filter(|_| fits(bank))?;
        (cost(&best) < direct).then_some(best)
    }

    /// The way that weights of this length are prepared for.
    pub fn prepared(bank: &'a Bank, len: usize) -> Option<Self> {
        [2, 4].map(|m| Self { bank, m }).into_iter().find(|way| fits(bank) && way.packed_len() == len)
    }

    fn t(&self) -> usize {
        self.m + 2
    }

    fn frequencies(&self) -> usize {
        self.t() * self.t()
    }

    /// Tiles down and across.
    fn grid(&self) -> [usize; 2] {
        self.bank.sliding.positions.map(|size| size.div_ceil(self.m))
    }

    fn tiles(&self) -> usize {
        self.bank.batch * self.grid()[0] * self.grid()[1]
    }

    fn panels(&self) -> usize {
        self.bank.rows.div_ceil(WIDTH)
    }

    pub fn packed_len(&self) -> usize {
        self.frequencies() * self.bank.channels * self.panels() * WIDTH
    }

    /// Transforms the weights to `[panel][frequency][channel][WIDTH]`.
    pub fn pack(&self, w: &[f32], packed: &mut [f32]) {
        let (g, t, channels, panels) = (transforms::weights(self.m), self.t(), self.bank.channels, self.panels());
        let results = Results::new(packed);
        tasks(panels * channels, 64 * self.frequencies() * WIDTH, |task| {
            let (panel, c) = (task / channels, task % channels);
            let width = WIDTH.min(self.bank.rows - panel * WIDTH);
            let mut plain = [[0.0f32; WIDTH]; 9];
            for o in 0..width {
                let from = &w[((panel * WIDTH + o) * channels + c) * 9..][..9];
                from.iter().enumerate().for_each(|(k, w)| plain[k][o] = *w);
            }
            for f in 0..self.frequencies() {
                // SAFETY: this task alone writes the rows of its panel and channel.
                let row = unsafe { results.part(((panel * t * t + f) * channels + c) * WIDTH, WIDTH) };
                row.fill(0.0);
                for (k, plain) in plain.iter().enumerate() {
                    let factor = g[f / t][k / 3] * g[f % t][k % 3];
                    row.iter_mut().zip(plain).for_each(|(r, w)| *r += factor * w);
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
        let (tiles, channels, t2) = (self.tiles(), self.bank.channels, self.frequencies());
        let most = (INPUTS / (t2 * channels) / ROWS * ROWS).clamp(ROWS, 2 * ROWS);
        let blocks = tiles.div_ceil(most);
        let work = t2 * tiles * channels * self.bank.rows;
        let y = Results::new(y);
        let state = |tiles: Range<usize>| State { way: self, packed, x, y, finish, tiles };
        // What passes through memory: every block reads all weights, or everything between the steps is written and read.
        let weights = self.packed_len();
        let steps = weights + 2 * t2 * tiles * (channels + self.bank.rows);
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
    way: &'a Winograd<'a>,
    packed: &'a [f32],
    x: &'a [f32],
    y: Results<'a>,
    finish: &'a Finish<'a>,
    tiles: Range<usize>,
}

impl State<'_> {
    /// Numbers from one frequency to the next, of the inputs and of the sums of a panel.
    fn apart(&self) -> (usize, usize) {
        (self.tiles.len() * self.way.bank.channels + SKEW, self.tiles.len() * WIDTH + SKEW)
    }

    /// Image of a tile, and the first row and column of its outputs.
    fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let [down, across] = self.way.grid();
        let rest = tile % (down * across);
        (tile / (down * across), [rest / across * self.way.m, rest % across * self.way.m])
    }

    fn input(&self, tile: usize, v: Results) {
        let (bank, t) = (self.way.bank, self.way.t());
        let ([h, w], channels) = (bank.sliding.image, bank.channels);
        let (n, [i, j]) = self.place(tile);
        let [top, _, left, _] = bank.sliding.window.padding;
        let start = (tile - self.tiles.start) * channels;
        let image = &self.x[n * h * w * channels..][..h * w * channels];
        if i >= top && j >= left && i - top + t <= h && j - left + t <= w {
            let x = &image[((i - top) * w + j - left) * channels..];
            return self.transform(x, w * channels, v, start);
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
            self.transform(window, t * channels, v, start);
        });
    }

    /// Transforms a tile whose inputs begin at `x[0]`.
    fn transform(&self, x: &[f32], row: usize, v: Results, start: usize) {
        let (pixel, apart, arch) = (self.way.bank.channels, self.apart().0, (chosen().arch)());
        match self.way.m {
            2 => arch.dispatch(Input::<4> { x, row, pixel, v, start, apart }),
            _ => arch.dispatch(Input::<6> { x, row, pixel, v, start, apart }),
        }
    }

    /// The sums over the channels, of a frequency and a panel, for all tiles: to `z[at + f · apart + tile · WIDTH]`.
    fn multiply(&self, f: usize, panel: usize, v: &[f32], z: Results, at: usize) {
        let (channels, (inputs, sums)) = (self.way.bank.channels, self.apart());
        let size = channels * WIDTH;
        let weights = &self.packed[(panel * self.way.frequencies() + f) * size..][..size];
        let count = self.tiles.len();
        let tiles = count.div_ceil(ROWS);
        for t in 0..tiles {
            let (first, end) = (count * t / tiles, count * (t + 1) / tiles);
            let from: [usize; ROWS] = std::array::from_fn(|p| (first + p) * channels);
            let to: [usize; ROWS] = std::array::from_fn(|p| at + f * sums + (first + p) * WIDTH);
            let tile = Tile::rows(&v[f * inputs..], &from[..end - first], channels, weights, self.columns(panel));
            // SAFETY: a frequency of a panel has numbers of its own, and one task.
            unsafe { tile.run(z, &to[..end - first], &Finish::default()) };
        }
    }

    fn columns(&self, panel: usize) -> usize {
        WIDTH.min(self.way.bank.rows - panel * WIDTH)
    }

    fn output(&self, tile: usize, panel: usize, z: &[f32]) {
        let (bank, m, apart) = (self.way.bank, self.way.m, self.apart().1);
        let ([oh, ow], (n, [i, j])) = (bank.sliding.positions, self.place(tile));
        let (column, columns) = (panel * WIDTH, self.columns(panel));
        let z = &z[(tile - self.tiles.start) * WIDTH..];
        let size = [m.min(oh - i), m.min(ow - j)];
        let to = [((n * oh + i) * ow + j) * bank.rows + column, ow * bank.rows, bank.rows];
        let finish = Finish { bias: self.finish.bias.map(|b| &b[column..column + columns]), ..*self.finish };
        let (y, arch) = (self.y, (chosen().arch)());
        match m {
            2 => arch.dispatch(Output::<4, 2> { z, apart, columns, size, y, to, finish }),
            _ => arch.dispatch(Output::<6, 4> { z, apart, columns, size, y, to, finish }),
        }
    }
}
