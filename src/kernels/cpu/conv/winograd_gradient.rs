//! The gradient of the weights of a 3 × 3 convolution by Winograd's minimal filtering: for each frequency, a matrix product over
//! all tiles, of the transformed inputs and the transformed gradients of the outputs; see `transforms` for the formula.
//!
//! Tiles come in groups whose transforms stay in the caches. Where the sums of all frequencies are fewer than the transforms, a
//! task adds up a frequency, and the sums of all groups go back to samples in the end. Where they are more, and there is one
//! group, a task has some channels of a panel of filters, and its sums never leave its core's caches.

use super::transforms::{Samples, Slopes};
use super::winograd::Winograd;
use crate::kernels::cpu::Gradient;
use crate::kernels::cpu::bank::Bank;
use crate::kernels::cpu::parallel::{scratch, tasks};
use crate::kernels::cpu::tile::{Finish, ROWS, Results, Tile, WIDTH, transpose};
use std::ops::Range;

/// Numbers of the transforms of a group, unless it has but a few tiles.
const GROUP: usize = 1 << 21;

/// Tiles of a group that make it worth to go through all sums.
const TILES: usize = 64;

/// What it costs to write a sum, to read it and to transform it, in multiplications of a direct convolution.
const SUM: usize = 30;

/// What the transforms of a tile cost for each channel, in multiplications.
const TRANSFORMS: [usize; 2] = [64, 256];

/// The way to compute the gradient by tiles up to that size, when it is not the direct one.
pub fn choose(bank: &Bank, largest: usize) -> Option<Winograd> {
    let filter = Winograd::filter(bank)?;
    let pairs = filter.to.next_multiple_of(WIDTH) * filter.from;
    filter.least(largest, 9 * pairs * filter.places(), |way| {
        let transforms = TRANSFORMS[way.m / 2 - 1] * (way.to + way.from) * way.tiles();
        way.frequencies() * pairs * (way.tiles() + SUM) + transforms
    })
}

/// Transforms of some tiles: of the inputs `[frequency][tile][channel]`, and of the gradients `[frequency][panel][tile][WIDTH]`.
struct Group<'a> {
    way: &'a Winograd,
    tiles: usize,
    v: &'a [f32],
    z: &'a [f32],
    apart: [usize; 2],
}

impl Group<'_> {
    /// Adds up a frequency for some channels and a panel: to `u[at + c · WIDTH]`, from the first of the channels on.
    ///
    /// # Safety
    /// Nobody else reads or writes these sums.
    unsafe fn multiply(&self, f: usize, panel: usize, channels: Range<usize>, u: Results, at: usize, add: bool) {
        let v = &self.v[f * self.apart[0]..];
        let z = &self.z[f * self.apart[1] + panel * self.tiles * WIDTH..][..self.tiles * WIDTH];
        let (count, finish) = (channels.len(), Finish { add, ..Finish::default() });
        let parts = count.div_ceil(ROWS);
        for part in 0..parts {
            let (first, end) = (count * part / parts, count * (part + 1) / parts);
            let from: [usize; ROWS] = std::array::from_fn(|p| channels.start + first + p);
            let to: [usize; ROWS] = std::array::from_fn(|p| at + (first + p) * WIDTH);
            let rows = Tile::rows(v, &from[..end - first], self.tiles, z, WIDTH);
            let tile = Tile { x_step: self.way.from, ..rows };
            // SAFETY: the caller promises it.
            unsafe { tile.run(u, &to[..end - first], &finish) };
        }
    }
}

/// Computes the gradient, and writes or adds it.
pub fn gradient(way: &Winograd, dy: &[f32], x: &[f32], dw: &mut Gradient) {
    let (t2, tiles, panels, channels) = (way.frequencies(), way.tiles(), way.panels(), way.from);
    let (add, dw) = (dw.add, Results::new(dw.data));
    if tiles == 0 {
        return tasks(1, 0, |_| {
            // SAFETY: there is one task.
            let dw = unsafe { dw.part(0, dw.len()) };
            if !add {
                dw.fill(0.0);
            }
        });
    }
    let each = t2 * (channels + panels * WIDTH);
    let most = (GROUP / each).max(TILES);
    let groups = tiles.div_ceil(most);
    let sums = t2 * panels * channels * WIDTH;
    let some = ROWS.min(channels);
    let blocks = channels.div_ceil(some);
    let block = |b: usize| channels * b / blocks..channels * (b + 1) / blocks;
    let work = t2 * tiles * channels * panels * WIDTH;
    if groups == 1 && sums > tiles * each {
        return transformed(way, dy, x, 0..tiles, |group| {
            tasks(panels * blocks, work / (panels * blocks), |task| {
                let (panel, own) = (task / blocks, block(task % blocks));
                let apart = own.len() * WIDTH;
                scratch(t2 * apart, |u| {
                    let sums = Results::new(u);
                    for f in 0..t2 {
                        // SAFETY: the sums belong to this task.
                        unsafe { group.multiply(f, panel, own.clone(), sums, f * apart, false) };
                    }
                    unpack(way, u, apart, panel, own, dw, add);
                });
            });
        });
    }
    scratch(sums, |u| {
        let apart = panels * channels * WIDTH;
        let shared = Results::new(u);
        for g in 0..groups {
            transformed(way, dy, x, tiles * g / groups..tiles * (g + 1) / groups, |group| {
                tasks(t2 * panels, work / (groups * t2 * panels), |task| {
                    let (f, panel) = (task / panels, task % panels);
                    // SAFETY: a frequency of a panel belongs to one task.
                    unsafe {
                        let at = f * apart + panel * channels * WIDTH;
                        group.multiply(f, panel, 0..channels, shared, at, g > 0);
                    }
                });
            });
        }
        let u = &*u;
        tasks(panels * blocks, 8 * t2 * some * WIDTH, |task| {
            let (panel, own) = (task / blocks, block(task % blocks));
            unpack(way, &u[(panel * channels + own.start) * WIDTH..], apart, panel, own, dw, add);
        });
    });
}

/// Transforms some tiles.
fn transformed(way: &Winograd, dy: &[f32], x: &[f32], tiles: Range<usize>, then: impl FnOnce(&Group)) {
    /// Numbers between the frequencies, so that they do not fall on the same lines of a cache.
    const SKEW: usize = 16;
    let (t2, count, channels) = (way.frequencies(), tiles.len(), way.from);
    let apart = [count * channels + SKEW, count * way.panels() * WIDTH + SKEW];
    scratch(t2 * (apart[0] + apart[1]), |buffer| {
        let (v, z) = buffer.split_at_mut(t2 * apart[0]);
        let (inputs, slopes) = (Results::new(v), Results::new(z));
        tasks(count, 8 * t2 * (channels + way.to), |i| {
            way.input(tiles.start + i, x, inputs, i * channels, apart[0]);
            let ([first, row, pixel], size) = way.outputs(tiles.start + i);
            for panel in 0..way.panels() {
                let (y, columns) = (&dy[first + panel * WIDTH..], way.columns(panel));
                let (start, apart, steps, z) = ((panel * count + i) * WIDTH, apart[1], [row, pixel], slopes);
                let arch = (crate::kernels::cpu::tile::chosen().arch)();
                match way.m {
                    2 => arch.dispatch(Slopes::<4, 2> { y, steps, columns, size, z, start, apart }),
                    _ => arch.dispatch(Slopes::<6, 4> { y, steps, columns, size, z, start, apart }),
                }
                for f in (0..t2).filter(|_| columns < WIDTH) {
                    // SAFETY: the panel of this tile belongs to this task.
                    unsafe { z.part(f * apart + start + columns, WIDTH - columns) }.fill(0.0);
                }
            }
        });
        then(&Group { way, tiles: count, v, z, apart });
    });
}

/// Brings the sums of some channels of a panel, `u[f · apart + c · WIDTH]`, to their places in `[filters, channels, 9]`.
fn unpack(way: &Winograd, u: &[f32], apart: usize, panel: usize, channels: Range<usize>, dw: Results, add: bool) {
    let (mut samples, mut turned) = ([0.0f32; 9 * ROWS * WIDTH], [0.0f32; 9 * ROWS * WIDTH]);
    let (count, arch) = (9 * channels.len(), (crate::kernels::cpu::tile::chosen().arch)());
    for (c, dg) in samples.chunks_exact_mut(9 * WIDTH).take(channels.len()).enumerate() {
        let u = &u[c * WIDTH..];
        match way.m {
            2 => arch.dispatch(Samples::<4> { u, apart, dg }),
            _ => arch.dispatch(Samples::<6> { u, apart, dg }),
        }
    }
    transpose(&samples, WIDTH, count, WIDTH, &mut turned, count);
    for (o, row) in turned.chunks_exact(count).take(way.columns(panel)).enumerate() {
        let at = ((panel * WIDTH + o) * way.from + channels.start) * 9;
        // SAFETY: the weights of these filters and channels belong to this task alone.
        let dw = unsafe { dw.part(at, count) };
        if add {
            dw.iter_mut().zip(row).for_each(|(g, s)| *g += s);
        } else {
            dw.copy_from_slice(row);
        }
    }
}
