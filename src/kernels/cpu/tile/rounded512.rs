//! The tile of low precision by AVX-512: `vdpbf16ps` multiplies and adds up two bf16 in each of 16 columns, `vpdpbusd` four steps of
//! int8, both as fast as one multiplication of f32. A machine that has AVX-512 without them runs the tiles of AVX2.
#![allow(clippy::needless_range_loop, reason = "constant indices are what keeps the sums in registers")]

use super::finish::{self, Finish};
use super::rounded::{HEAD, Rounded};
use super::rounded256;
use super::{ROWS, WIDTH};
use std::arch::x86_64::*;

/// Words in a register.
const LANES: usize = 16;

/// Registers of a row.
const V: usize = WIDTH / LANES;

/// Sums of each result in a tile of few rows, because one sum alone would wait for each addition.
const CHAINS: usize = 4;

/// Calls the function for the tile's number of rows, with several sums where rows are few.
macro_rules! by_rows {
    ($f:ident, $tile:ident, $arguments:tt) => {
        by_rows!($f, $tile, $arguments, 4 5 6 7 8 9 10 11 12 13 14)
    };
    ($f:ident, $tile:ident, $arguments:tt, $($rows:literal)*) => {
        match $tile.from.len() {
            1 => $f::<1, CHAINS> $arguments,
            2 => $f::<2, CHAINS> $arguments,
            3 => $f::<3, CHAINS> $arguments,
            $($rows => $f::<$rows, 1> $arguments,)*
            _ => unreachable!("a tile has from one to {ROWS} rows"),
        }
    };
}

/// # Safety
/// See [`super::rounded::RoundedFn`].
pub unsafe fn bf16(tile: &Rounded, y: *mut f32, to: &[usize], finish: &Finish) {
    if !is_x86_feature_detected!("avx512bf16") {
        // SAFETY: AVX-512 includes AVX2 and FMA, and the caller promises the rest.
        return unsafe { rounded256::bf16(tile, y, to, finish) };
    }
    // SAFETY: the machine has the instructions, and the caller promises the rest.
    unsafe { by_rows!(bf16_rows, tile, (tile, y, to, finish)) }
}

/// # Safety
/// See [`super::rounded::RoundedFn`].
pub unsafe fn int8(tile: &Rounded, y: *mut f32, to: &[usize], finish: &Finish) {
    if !is_x86_feature_detected!("avx512vnni") {
        // SAFETY: AVX-512 includes AVX2 and FMA, and the caller promises the rest.
        return unsafe { rounded256::int8(tile, y, to, finish) };
    }
    // SAFETY: the machine has the instructions, and the caller promises the rest.
    unsafe { by_rows!(int8_rows, tile, (tile, y, to, finish)) }
}

/// A tile of `P` rows with `C` sums for each result: `dot` adds the products of two words to a sum, `add` adds two sums, and `end`
/// makes a number of a sum of register `v` of a row.
macro_rules! tile {
    (
        $name:ident, $features:literal, $head:expr, $zero:expr,
        dot: |$s:ident, $x:ident, $w:ident| $dot:expr,
        add: |$a:ident, $b:ident| $add:expr,
        end: |$sum:ident, $panel:ident, $v:ident| $end:expr $(,)?
    ) => {
        /// # Safety
        /// See [`super::rounded::RoundedFn`].
        #[target_feature(enable = $features)]
        unsafe fn $name<const P: usize, const C: usize>(tile: &Rounded, y: *mut f32, to: &[usize], finish: &Finish) {
            let mut sums = [[[$zero; V]; P]; C];
            let mut stored = [[0.0f32; WIDTH]; P];
            // SAFETY: all offsets that the formula names lie in their slices, as the caller promises; pointers move by the very steps
            // of the formula, and words of rows are read wherever they begin.
            unsafe {
                let $panel = tile.w.as_ptr();
                let mut weights = $panel.add($head);
                let x = tile.x.as_ptr().cast::<u8>();
                let from: [*const u8; P] = std::array::from_fn(|p| x.add(tile.from[p]));
                for repeat in 0..tile.repeats {
                    for run in 0..tile.runs {
                        let mut at = repeat * tile.x_repeat + run * tile.x_run;
                        macro_rules! step {
                            ($sums:expr) => {
                                let row: [__m512i; V] =
                                    std::array::from_fn(|v| _mm512_loadu_si512(weights.add(v * LANES).cast()));
                                for p in 0..P {
                                    let $x = _mm512_set1_epi32(from[p].add(at).cast::<i32>().read_unaligned());
                                    for v in 0..V {
                                        let ($s, $w) = ($sums[p][v], row[v]);
                                        $sums[p][v] = $dot;
                                    }
                                }
                                weights = weights.add(WIDTH);
                                at += 4;
                            };
                        }
                        for _ in 0..tile.words / C {
                            for c in 0..C {
                                step!(sums[c]);
                            }
                        }
                        for _ in 0..tile.words % C {
                            step!(sums[0]);
                        }
                    }
                }
                for p in 0..P {
                    for $v in 0..V {
                        let mut $sum = sums[0][p][$v];
                        for c in 1..C {
                            let ($a, $b) = ($sum, sums[c][p][$v]);
                            $sum = $add;
                        }
                        _mm512_storeu_ps(stored[p].as_mut_ptr().add($v * LANES), $end);
                    }
                }
                finish::finish(&mut stored, tile.width, y, to, finish);
            }
        }
    };
}

tile!(
    bf16_rows, "avx512f,avx512bf16", 0, _mm512_setzero_ps(),
    dot: |s, x, w| _mm512_dpbf16_ps(s, std::mem::transmute::<__m512i, __m512bh>(x), std::mem::transmute::<__m512i, __m512bh>(w)),
    add: |a, b| _mm512_add_ps(a, b),
    end: |sum, _panel, v| sum,
);

tile!(
    int8_rows, "avx512f,avx512vnni", HEAD, _mm512_setzero_si512(),
    dot: |s, x, w| _mm512_dpbusd_epi32(s, x, w),
    add: |a, b| _mm512_add_epi32(a, b),
    end: |sum, panel, v| {
        let zeros = _mm512_loadu_si512(panel.add(WIDTH + v * LANES).cast());
        let worth = _mm512_loadu_ps(panel.add(v * LANES));
        _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, zeros)), worth)
    },
);
