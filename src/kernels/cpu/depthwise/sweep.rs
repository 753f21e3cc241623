//! The loop of a depthwise convolution, and of its gradient with respect to the input: lines of one map, weighted and summed to
//! the lines of another.
//!
//! Some neighbouring pixels of the result, and a vector of channels of each, stay in registers while the samples of the window go
//! by; each number that is read serves all pixels whose windows hold it. Then the next channels follow, which stand behind. What
//! lies outside of the map is not read at all, so there is no padding; only the strips at the edges ask where it begins.

use crate::kernels::cpu::function::Limits;
use crate::kernels::cpu::tile::Results;
use pulp::Simd;
use std::ops::Range;

/// Pixels of a strip. Most maps are a multiple of it wide.
const STRIP: usize = 7;

/// The lines that one line of the result reads.
#[derive(Clone, Copy)]
pub struct Lines {
    /// The first line read, and how many follow each other.
    pub first: usize,
    pub count: usize,
    /// The row of the window that the first line meets, and from there to the next.
    pub sample: usize,
    pub step: isize,
}

/// Every so many pixels of a line, which meet the same samples of the window.
#[derive(Clone, Copy)]
pub struct Phase {
    pub first: usize,
    pub stride: usize,
    pub count: usize,
    /// The column of the first pixel that the first pixel of the result reads; perhaps outside.
    pub column: isize,
    /// The column of the window that it meets, and from there to the next.
    pub sample: usize,
    pub step: isize,
}

/// What a sweep reads and writes. Maps are of `[batch, height, width, channels]`.
pub struct Sweep<'a> {
    pub x: &'a [f32],
    pub y: Results<'a>,
    pub w: &'a [f32],
    /// One for each channel, or empty.
    pub bias: &'a [f32],
    /// Of the result's size, or empty.
    pub residual: &'a [f32],
    /// Whether to add to what `y` holds.
    pub add: bool,
    pub limits: Limits,
    pub channels: usize,
    pub from: [usize; 2],
    pub to: [usize; 2],
    pub kernel: usize,
}

/// A strip of pixels of one line: which of the columns it reads are inside, and which of its pixels are to be written; a bit
/// for each, which a loop that is written out tests with one instruction.
#[derive(Clone, Copy)]
struct Strip {
    inside: u32,
    written: u32,
}

/// The bits of a range.
#[inline(always)]
pub fn bits(range: Range<isize>) -> u32 {
    let below = |n: isize| (1u32 << n) - 1;
    below(range.end) & !below(range.start)
}

impl Sweep<'_> {
    /// One phase of line `row` of image `n`, for some channels; `T` samples of the window in a row, and pixels of the
    /// result that are `STEP` pixels apart in what is read.
    ///
    /// # Safety
    ///
    /// The channels, pixels and lines named exist, and no other thread holds the numbers that are written.
    #[inline(always)]
    // SAFETY: what the caller must keep stands above.
    pub unsafe fn line<S: Simd, const T: usize, const STEP: usize>(
        &self,
        simd: S,
        (n, row): (usize, usize),
        lines: Lines,
        phase: &Phase,
        channels: Range<usize>,
    ) {
        let (width, reach) = (self.from[1] as isize, ((STRIP - 1) * STEP + T) as isize);
        let mut pixel = 0;
        while pixel < phase.count {
            // The last strip moves back over what is written already, if there is room.
            let start = pixel.min(phase.count.saturating_sub(STRIP));
            let column = phase.column + (start * STEP) as isize;
            let strip = Strip {
                inside: bits((-column).clamp(0, reach)..(width - column).clamp(0, reach)),
                written: bits((pixel - start) as isize..STRIP.min(phase.count - start) as isize),
            };
            let place = ((n * self.to[0] + row) * self.to[1] + phase.first + start * phase.stride) * self.channels;
            let line = (n * self.from[0] + lines.first) as isize * width;
            let read = (line + column) * self.channels as isize;
            let whole = strip.inside == bits(0..reach) && strip.written == bits(0..STRIP as isize);
            let full = channels.start + channels.len() / S::F32_LANES * S::F32_LANES;
            let simple = whole && self.residual.is_empty() && !self.add;
            for c in (channels.start..full).step_by(S::F32_LANES) {
                // SAFETY: the channels from c on are a whole vector, and the strip says what may be read and written.
                unsafe {
                    if simple {
                        self.strip::<S, T, STEP, true, false>(simd, strip, lines, phase, read, place, c, 0);
                    } else {
                        self.strip::<S, T, STEP, false, false>(simd, strip, lines, phase, read, place, c, 0);
                    }
                }
            }
            if full < channels.end {
                let rest = channels.end - full;
                // SAFETY: as above, for the channels that are left.
                unsafe { self.strip::<S, T, STEP, false, true>(simd, strip, lines, phase, read, place, full, rest) };
            }
            pixel = start + STRIP;
        }
    }

    /// # Safety
    ///
    /// As for [`Sweep::line`]; without `TAIL`, a whole vector of channels from `c` on exists, and with it `rest` channels;
    /// with `SIMPLE`, all columns are inside and all pixels are written.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "all of them are what the loops above have found once")]
    #[allow(clippy::needless_range_loop, reason = "the places of registers, known when this is compiled")]
    // SAFETY: what the caller must keep stands above.
    unsafe fn strip<S: Simd, const T: usize, const STEP: usize, const SIMPLE: bool, const TAIL: bool>(
        &self,
        simd: S,
        strip: Strip,
        lines: Lines,
        phase: &Phase,
        read: isize,
        place: usize,
        c: usize,
        rest: usize,
    ) {
        let mask = simd.mask_between_m32s(0, rest as u32);
        let load = |from: *const f32| {
            // SAFETY: whoever loads has seen that the vector, or its first numbers with a tail, lies in the slice it is from.
            unsafe { if TAIL { simd.mask_load_ptr_f32s(mask, from) } else { from.cast::<S::f32s>().read_unaligned() } }
        };
        let apart = phase.stride * self.channels;
        let (x, w) = (self.x.as_ptr().wrapping_offset(read).wrapping_add(c), self.w.as_ptr().wrapping_add(c));
        // SAFETY: the pixels that are written lie in `y`, as the caller says, and nobody else holds them.
        let y = self.y.pointer(place + c, 0);
        let mut sums = [simd.splat_f32s(0.0); STRIP];
        if !self.bias.is_empty() {
            sums = [load(self.bias.as_ptr().wrapping_add(c)); STRIP];
        }
        for l in 0..lines.count {
            let window =
                (lines.sample as isize + l as isize * lines.step) * self.kernel as isize + phase.sample as isize;
            let sample = |t: usize| w.wrapping_offset((window + t as isize * phase.step) * self.channels as isize);
            let mut weights = [simd.splat_f32s(0.0); T];
            for t in 0..T {
                weights[t] = load(sample(t));
            }
            let x = x.wrapping_add(l * self.from[1] * self.channels);
            for j in 0..(STRIP - 1) * STEP + T {
                if SIMPLE || strip.inside & (1 << j) != 0 {
                    let v = load(x.wrapping_add(j * self.channels));
                    for p in 0..STRIP {
                        if j >= p * STEP && j < p * STEP + T {
                            sums[p] = simd.mul_add_e_f32s(v, weights[j - p * STEP], sums[p]);
                        }
                    }
                }
            }
        }
        let [low, high] = self.limits.bounds().map(|b| simd.splat_f32s(b));
        for p in 0..STRIP {
            if SIMPLE || strip.written & (1 << p) != 0 {
                let (mut sum, to) = (sums[p], y.wrapping_add(p * apart));
                if !SIMPLE && !self.residual.is_empty() {
                    sum = simd.add_f32s(sum, load(self.residual.as_ptr().wrapping_add(place + c + p * apart)));
                }
                if self.limits.any() {
                    sum = simd.select_f32s(simd.less_than_or_equal_f32s(sum, low), low, sum);
                    sum = simd.select_f32s(simd.greater_than_or_equal_f32s(sum, high), high, sum);
                }
                if !SIMPLE && self.add {
                    sum = simd.add_f32s(load(to), sum);
                }
                // SAFETY: the pixel is one that is written, and so are the channels from c on.
                unsafe {
                    if TAIL {
                        simd.mask_store_ptr_f32s(mask, to, sum);
                    } else {
                        to.cast::<S::f32s>().write_unaligned(sum);
                    }
                }
            }
        }
    }
}
