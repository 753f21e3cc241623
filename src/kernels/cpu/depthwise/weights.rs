//! The gradient of depthwise convolution with respect to its windows.
//!
//! `dw[ky, kx, c] = Σ dy[n, oy, ox, c] · x[n, oy·s + ky − top, ox·s + kx − left, c]`: for a vector of channels some rows of the
//! window stay in registers while the maps go by. Lines of positions are gathered into blocks, whose sums are added up in their
//! order at the end.

use super::geometry::{Geometry, tile, unpack};
use super::sweep::bits;
use crate::kernels::cpu::parallel::scratch;
use crate::kernels::cpu::parallel::tasks;
use crate::kernels::cpu::tile::{Results, chosen};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Positions whose products are summed before their sum joins the others.
const POSITIONS: usize = 2048;

/// Positions of a strip.
const STRIP: usize = 4;

/// Channels of a task.
const CHANNELS: usize = 64;

struct Block<'a> {
    g: &'a Geometry,
    dy: &'a [f32],
    x: &'a [f32],
    /// Lines of positions, counted through all images.
    lines: Range<usize>,
    channels: Range<usize>,
    /// The sums of the block: of the windows' packed order, all channels.
    sums: Results<'a>,
    start: usize,
}

/// The gradient of windows of `[channels, 1, height, width]`, written or added.
pub fn weight_gradient(g: &Geometry, dy: &[f32], x: &[f32], dw: &mut [f32], add: bool) {
    let [pixels, places] = [g.image, g.positions].map(|[h, w]| g.batch * h * w * g.channels);
    assert_eq!([x.len(), dy.len(), dw.len()], [pixels, places, g.taps() * g.channels], "bug: maps or windows");
    let (lines, together) = (g.batch * g.positions[0], (POSITIONS / g.positions[1]).max(1));
    let (blocks, size, tile) = (lines.div_ceil(together), dw.len(), tile(g.channels, CHANNELS));
    let tiles = g.channels.div_ceil(tile);
    scratch((blocks + 1) * size, |buffer| {
        let (total, partial) = buffer.split_at_mut(size);
        let sums = Results::new(&mut *partial);
        tasks(blocks * tiles, together * g.positions[1] * tile.min(g.channels) * g.taps() / 8, |task| {
            let (block, first) = (task / tiles, task % tiles * tile);
            let lines = block * together..lines.min((block + 1) * together);
            let channels = first..g.channels.min(first + tile);
            (chosen().arch)().dispatch(Block { g, dy, x, lines, channels, sums, start: block * size });
        });
        total.fill(0.0);
        for partial in partial.chunks_exact(size) {
            total.iter_mut().zip(partial).for_each(|(t, p)| *t += p);
        }
        unpack(total, g.channels, add, dw);
    });
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let full = self.channels.start + self.channels.len() / S::F32_LANES * S::F32_LANES;
        for c in (self.channels.start..full).step_by(S::F32_LANES) {
            self.window::<S, false>(simd, c, 0);
        }
        if full < self.channels.end {
            self.window::<S, true>(simd, full, self.channels.end - full);
        }
    }
}

impl Block<'_> {
    /// All of the window, some rows at a time: as many as registers hold.
    #[inline(always)]
    fn window<S: Simd, const TAIL: bool>(&self, simd: S, c: usize, rest: usize) {
        match self.g.known().expect("who calls has asked") {
            (3, 1) => self.rows::<S, 3, 3, 1, TAIL>(simd, 0, c, rest),
            (3, _) => self.rows::<S, 3, 3, 2, TAIL>(simd, 0, c, rest),
            (_, 1) => {
                self.rows::<S, 2, 5, 1, TAIL>(simd, 0, c, rest);
                self.rows::<S, 2, 5, 1, TAIL>(simd, 2, c, rest);
                self.rows::<S, 1, 5, 1, TAIL>(simd, 4, c, rest);
            }
            _ => {
                self.rows::<S, 2, 5, 2, TAIL>(simd, 0, c, rest);
                self.rows::<S, 2, 5, 2, TAIL>(simd, 2, c, rest);
                self.rows::<S, 1, 5, 2, TAIL>(simd, 4, c, rest);
            }
        }
    }

    /// `R` rows of a window `K` wide, from row `ky` on.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "the places of registers, known when this is compiled")]
    fn rows<S: Simd, const R: usize, const K: usize, const STEP: usize, const TAIL: bool>(
        &self,
        simd: S,
        ky: usize,
        c: usize,
        rest: usize,
    ) {
        let (g, channels) = (self.g, self.g.channels);
        let ([h, w], [oh, ow]) = (g.image, g.positions);
        let [top, _, left, _] = g.window.padding;
        let mask = simd.mask_between_m32s(0, rest as u32);
        let load = |from: *const f32| {
            // SAFETY: only pixels and positions inside of the maps are loaded, whose lengths `weight_gradient` has checked, and
            // of these whole vectors of channels from c on, or with a tail the last ones.
            unsafe { if TAIL { simd.mask_load_ptr_f32s(mask, from) } else { from.cast::<S::f32s>().read_unaligned() } }
        };
        let reach = (STRIP - 1) * STEP + K;
        let zero = simd.splat_f32s(0.0);
        let mut sums = [[zero; K]; R];
        for line in self.lines.clone() {
            let (n, oy) = (line / oh, line % oh);
            let dy = self.dy.as_ptr().wrapping_add(line * ow * channels + c);
            // The rows of the window that lie in the image; outside of it nothing is added.
            let y = (oy * STEP + ky) as isize - top as isize;
            for start in (0..ow).step_by(STRIP) {
                let mut d = [zero; STRIP];
                for p in 0..STRIP {
                    if start + p < ow {
                        d[p] = load(dy.wrapping_add((start + p) * channels));
                    }
                }
                let column = (start * STEP) as isize - left as isize;
                let limit = |n: isize| n.clamp(0, reach as isize);
                let inside = bits(limit(-column)..limit(w as isize - column));
                for r in 0..R {
                    let y = y + r as isize;
                    if y < 0 || y >= h as isize {
                        continue;
                    }
                    let pixel = ((n * h) as isize + y) * w as isize + column;
                    let x = self.x.as_ptr().wrapping_offset(pixel * channels as isize).wrapping_add(c);
                    for j in 0..reach {
                        if inside & (1 << j) != 0 {
                            let v = load(x.wrapping_add(j * channels));
                            for p in 0..STRIP {
                                if j >= p * STEP && j < p * STEP + K {
                                    sums[r][j - p * STEP] = simd.mul_add_e_f32s(v, d[p], sums[r][j - p * STEP]);
                                }
                            }
                        }
                    }
                }
            }
        }
        for r in 0..R {
            for k in 0..K {
                let at = self.start + ((ky + r) * K + k) * channels + c;
                let count = if TAIL { rest } else { S::F32_LANES };
                // SAFETY: these channels of this block are no other task's.
                let place = unsafe { self.sums.part(at, count) };
                simd.partial_store_f32s(place, sums[r][k]);
            }
        }
    }
}
