//! The tile by AVX2 and FMA: blocks of six rows and two registers of eight columns, which leaves four registers.
#![allow(clippy::needless_range_loop, reason = "constant indices are what keeps the sums in registers")]

use super::finish::{self, Finish};
use super::{ROWS, Tile, WIDTH};
use std::arch::x86_64::*;

/// Numbers in a register.
const LANES: usize = 8;

/// Registers of a row.
const VECTORS: usize = 2;

/// The most rows of a block.
const BLOCK: usize = 6;

/// # Safety
/// See [`super::isa::TileFn`].
#[target_feature(enable = "avx2,fma")]
pub unsafe fn tile(tile: &Tile, y: *mut f32, to: &[usize], finish: &Finish) {
    let mut sums = [[0.0f32; WIDTH]; ROWS];
    let rows = tile.from.len();
    // Blocks of equal height: a last one of one row would waste most of its registers.
    let blocks = rows.div_ceil(BLOCK);
    for b in 0..blocks {
        let (first, end) = (rows * b / blocks, rows * (b + 1) / blocks);
        for column in (0..tile.width).step_by(VECTORS * LANES) {
            let out = &mut sums[first..end];
            // SAFETY: the caller promises what `block` asks for.
            unsafe {
                match end - first {
                    1 => block::<1>(tile, first, column, out),
                    2 => block::<2>(tile, first, column, out),
                    3 => block::<3>(tile, first, column, out),
                    4 => block::<4>(tile, first, column, out),
                    5 => block::<5>(tile, first, column, out),
                    _ => block::<6>(tile, first, column, out),
                }
            }
        }
    }
    // SAFETY: the caller promises what `finish` asks for.
    unsafe { finish::finish(&mut sums[..rows], tile.width, y, to, finish) };
}

/// How many rows of weights ahead of their use they are fetched.
const AHEAD: usize = 32;

/// The sums of `P` rows from `first` on and of 16 columns from `column` on.
///
/// # Safety
/// See [`super::isa::TileFn`].
#[target_feature(enable = "avx2,fma")]
unsafe fn block<const P: usize>(tile: &Tile, first: usize, column: usize, out: &mut [[f32; WIDTH]]) {
    let mut sums = [[_mm256_setzero_ps(); VECTORS]; P];
    let width = (tile.width - column).min(VECTORS * LANES);
    let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    let mask: [__m256i; VECTORS] = std::array::from_fn(|v| {
        let left = width.saturating_sub(v * LANES) as i32;
        _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lane)
    });
    let full = width == VECTORS * LANES;
    let mut from = [tile.x.as_ptr(); P];
    // SAFETY: all offsets that the formula names lie in their slices, as the caller promises; pointers move by the very
    // steps of the formula, and where the block is not full, masked loads read no column behind the tile's width.
    unsafe {
        for p in 0..P {
            from[p] = from[p].add(tile.from[first + p]);
        }
        for repeat in 0..tile.repeats {
            for r in 0..tile.runs {
                let mut w = tile.w.as_ptr().add(repeat * tile.w_repeat + r * tile.w_run).wrapping_add(column);
                let mut at = repeat * tile.x_repeat + r * tile.x_run;
                for _ in 0..tile.len {
                    // Weights may come from far away, and the machine's own prefetching ends with each page.
                    _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(AHEAD * tile.w_row).cast());
                    let weights: [__m256; VECTORS] = std::array::from_fn(|v| {
                        let w = w.wrapping_add(v * LANES);
                        if full { _mm256_loadu_ps(w) } else { _mm256_maskload_ps(w, mask[v]) }
                    });
                    for p in 0..P {
                        let x = _mm256_set1_ps(*from[p].add(at));
                        for v in 0..VECTORS {
                            sums[p][v] = _mm256_fmadd_ps(x, weights[v], sums[p][v]);
                        }
                    }
                    w = w.wrapping_add(tile.w_row);
                    at += tile.x_step;
                }
            }
        }
        for p in 0..P {
            for v in 0..VECTORS {
                _mm256_storeu_ps(out[p].as_mut_ptr().add(column + v * LANES), sums[p][v]);
            }
        }
    }
}
