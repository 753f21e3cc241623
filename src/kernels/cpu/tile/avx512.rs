//! The tile by AVX-512: a row's 32 sums are two registers, and 14 rows leave four registers for the weights.
#![allow(clippy::needless_range_loop, reason = "constant indices are what keeps the sums in registers")]

use super::finish::{self, Finish};
use super::{ROWS, Tile, WIDTH};
use std::arch::x86_64::*;

/// Numbers in a register.
const LANES: usize = 16;

/// # Safety
/// See [`super::isa::TileFn`].
pub unsafe fn tile(tile: &Tile, y: *mut f32, to: &[usize], finish: &Finish) {
    macro_rules! by_rows {
        ($($rows:literal)*) => {
            match (tile.from.len(), tile.width <= LANES) {
                (1, _) => few::<1>(tile, y, to, finish),
                (2, _) => few::<2>(tile, y, to, finish),
                (3, _) => few::<3>(tile, y, to, finish),
                $(($rows, false) => rows::<$rows, 2>(tile, y, to, finish),
                  ($rows, true) => rows::<$rows, 1>(tile, y, to, finish),)*
                _ => unreachable!("a tile has from one to {ROWS} rows"),
            }
        };
    }
    // SAFETY: the caller promises what `few` and `rows` ask for.
    unsafe { by_rows!(4 5 6 7 8 9 10 11 12 13 14) }
}

/// How many rows of weights ahead of their use they are fetched.
const AHEAD: usize = 32;

/// The tile of `P` rows and `V` registers a row.
///
/// # Safety
/// See [`super::isa::TileFn`].
#[target_feature(enable = "avx512f")]
unsafe fn rows<const P: usize, const V: usize>(tile: &Tile, y: *mut f32, to: &[usize], finish: &Finish) {
    let mut sums = [[_mm512_setzero_ps(); V]; P];
    let mut from = [tile.x.as_ptr(); P];
    let mask: [__mmask16; V] = std::array::from_fn(|v| {
        let left = tile.width.saturating_sub(v * LANES).min(LANES);
        ((1u32 << left) - 1) as __mmask16
    });
    // SAFETY: all offsets that the formula names lie in their slices, as the caller promises; pointers move by the very
    // steps of the formula, and masked loads read no column behind the tile's width.
    unsafe {
        for p in 0..P {
            from[p] = from[p].add(tile.from[p]);
        }
        for repeat in 0..tile.repeats {
            for r in 0..tile.runs {
                let mut w = tile.w.as_ptr().add(repeat * tile.w_repeat + r * tile.w_run);
                let mut at = repeat * tile.x_repeat + r * tile.x_run;
                for _ in 0..tile.len {
                    for v in 0..V {
                        // Weights may come from far away, and the machine's own prefetching ends with each page.
                        _mm_prefetch::<_MM_HINT_T0>(w.wrapping_add(AHEAD * tile.w_row + v * LANES).cast());
                    }
                    let weights: [__m512; V] =
                        std::array::from_fn(|v| _mm512_maskz_loadu_ps(mask[v], w.wrapping_add(v * LANES)));
                    for p in 0..P {
                        let x = _mm512_set1_ps(*from[p].add(at));
                        for v in 0..V {
                            sums[p][v] = _mm512_fmadd_ps(x, weights[v], sums[p][v]);
                        }
                    }
                    w = w.wrapping_add(tile.w_row);
                    at += tile.x_step;
                }
            }
        }
        if V == 2 && tile.width == WIDTH && (finish.is_empty() || finish.only_adds()) {
            for p in 0..P {
                for v in 0..V {
                    let y = y.add(to[p] + v * LANES);
                    let sum = if finish.add { _mm512_add_ps(_mm512_loadu_ps(y), sums[p][v]) } else { sums[p][v] };
                    _mm512_storeu_ps(y, sum);
                }
            }
            return;
        }
        // The sums leave their registers here once and for all: indexing them in the loops below would keep them in memory
        // during the loop above.
        let mut stored = [[0.0f32; WIDTH]; P];
        for p in 0..P {
            for v in 0..V {
                _mm512_storeu_ps(stored[p].as_mut_ptr().add(v * LANES), sums[p][v]);
            }
        }
        finish::finish(&mut stored, tile.width, y, to, finish);
    }
}

/// Sums of each result in a tile of few rows.
const CHAINS: usize = 4;

/// The tile of up to three rows: sums of every fourth term are added up at last, pairwise.
///
/// # Safety
/// See [`super::isa::TileFn`].
#[target_feature(enable = "avx512f")]
unsafe fn few<const P: usize>(tile: &Tile, y: *mut f32, to: &[usize], finish: &Finish) {
    const V: usize = WIDTH / LANES;
    let mut sums = [[[_mm512_setzero_ps(); V]; P]; CHAINS];
    let mask: [__mmask16; V] = std::array::from_fn(|v| {
        let left = tile.width.saturating_sub(v * LANES).min(LANES);
        ((1u32 << left) - 1) as __mmask16
    });
    let mut stored = [[0.0f32; WIDTH]; P];
    // SAFETY: all offsets that the formula names lie in their slices, as the caller promises; pointers move by the very
    // steps of the formula, and masked loads read no column behind the tile's width.
    unsafe {
        let from: [*const f32; P] = std::array::from_fn(|p| tile.x.as_ptr().add(tile.from[p]));
        for (repeat, r) in (0..tile.repeats).flat_map(|n| (0..tile.runs).map(move |r| (n, r))) {
            let mut w = tile.w.as_ptr().add(repeat * tile.w_repeat + r * tile.w_run);
            let mut at = repeat * tile.x_repeat + r * tile.x_run;
            let step = |sums: &mut [[__m512; V]; P], w: *const f32, at: usize| {
                for v in 0..V {
                    let weights = _mm512_maskz_loadu_ps(mask[v], w.wrapping_add(v * LANES));
                    for p in 0..P {
                        sums[p][v] = _mm512_fmadd_ps(_mm512_set1_ps(*from[p].add(at)), weights, sums[p][v]);
                    }
                }
            };
            for _ in 0..tile.len / CHAINS {
                for c in 0..CHAINS {
                    step(&mut sums[c], w, at);
                    w = w.wrapping_add(tile.w_row);
                    at += tile.x_step;
                }
            }
            for _ in 0..tile.len % CHAINS {
                step(&mut sums[0], w, at);
                w = w.wrapping_add(tile.w_row);
                at += tile.x_step;
            }
        }
        for p in 0..P {
            for v in 0..V {
                let [a, b, c, d] = [sums[0][p][v], sums[1][p][v], sums[2][p][v], sums[3][p][v]];
                let sum = _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d));
                _mm512_storeu_ps(stored[p].as_mut_ptr().add(v * LANES), sum);
            }
        }
        finish::finish(&mut stored, tile.width, y, to, finish);
    }
}
