//! The tile of low precision by AVX2, block by block of up to 4 rows and 16 columns. Halves of a word become f32 by shifts and are
//! multiplied so; quarters become 16 bits each, of which `vpmaddwd` multiplies and adds up two, exactly.
#![allow(clippy::needless_range_loop, reason = "constant indices are what keeps the sums in registers")]

use super::finish::{self, Finish};
use super::rounded::{HEAD, Rounded};
use super::{ROWS, WIDTH};
use std::arch::x86_64::*;

/// Words in a register.
const LANES: usize = 8;

/// Registers of a row of a block.
const V: usize = 2;

/// Rows of a block.
const BLOCK: usize = 4;

/// A tile by blocks: `x` and `w` split a word into the two parts that are multiplied by one another, `dot` adds the products
/// of two parts to a sum, and `end` makes numbers of the sums of columns from `c` on.
macro_rules! tile {
    (
        $name:ident, $block:ident, $head:expr, $zero:expr,
        x: |$xs:ident| $split_x:expr,
        w: |$ws:ident| $split_w:expr,
        dot: |$s:ident, $x:ident, $w:ident| $dot:expr,
        end: |$sum:ident, $panel:ident, $c:ident| $end:expr $(,)?
    ) => {
        /// # Safety
        /// See [`super::rounded::RoundedFn`].
        #[target_feature(enable = "avx2,fma")]
        pub unsafe fn $name(tile: &Rounded, y: *mut f32, to: &[usize], finish: &Finish) {
            let mut stored = [[0.0f32; WIDTH]; ROWS];
            for column in (0..tile.width).step_by(V * LANES) {
                for (from, stored) in tile.from.chunks(BLOCK).zip(stored.chunks_mut(BLOCK)) {
                    // SAFETY: the caller promises that what the block reads lies in its slices.
                    unsafe {
                        match from.len() {
                            1 => $block::<1>(tile, from, column, stored),
                            2 => $block::<2>(tile, from, column, stored),
                            3 => $block::<3>(tile, from, column, stored),
                            _ => $block::<BLOCK>(tile, from, column, stored),
                        }
                    }
                }
            }
            // SAFETY: the caller promises what `finish` asks for.
            unsafe { finish::finish(&mut stored[..to.len()], tile.width, y, to, finish) };
        }

        /// The sums of `P` rows and 16 columns.
        ///
        /// # Safety
        /// The machine has the instructions, and every number that the tile names lies in its slice.
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $block<const P: usize>(tile: &Rounded, from: &[usize], column: usize, stored: &mut [[f32; WIDTH]]) {
            let mut sums = [[$zero; V]; P];
            // SAFETY: all offsets that the formula names lie in their slices, as the caller promises; a panel has whole rows, and
            // words of `x` are read wherever they begin.
            unsafe {
                let $panel = tile.w.as_ptr();
                let mut weights = $panel.add($head + column);
                let x = tile.x.as_ptr().cast::<u8>();
                let from: [*const u8; P] = std::array::from_fn(|p| x.add(from[p]));
                for repeat in 0..tile.repeats {
                    for run in 0..tile.runs {
                        let start = repeat * tile.x_repeat + run * tile.x_run;
                        for l in 0..tile.words {
                            let row: [[__m256i; 2]; V] = std::array::from_fn(|v| {
                                let $ws = _mm256_loadu_si256(weights.add(v * LANES).cast());
                                $split_w
                            });
                            for p in 0..P {
                                let $xs = _mm256_set1_epi32(from[p].add(start + 4 * l).cast::<i32>().read_unaligned());
                                let parts: [__m256i; 2] = $split_x;
                                for v in 0..V {
                                    for part in 0..2 {
                                        let ($s, $x, $w) = (sums[p][v], parts[part], row[v][part]);
                                        sums[p][v] = $dot;
                                    }
                                }
                            }
                            weights = weights.add(WIDTH);
                        }
                    }
                }
                for p in 0..P {
                    for v in 0..V {
                        let ($sum, $c) = (sums[p][v], column + v * LANES);
                        _mm256_storeu_ps(stored[p].as_mut_ptr().add($c), $end);
                    }
                }
            }
        }
    };
}

tile!(
    bf16, bf16_block, 0, _mm256_setzero_ps(),
    x: |words| [_mm256_slli_epi32::<16>(words), _mm256_and_si256(words, _mm256_set1_epi32(0xffff_0000u32 as i32))],
    w: |words| [_mm256_slli_epi32::<16>(words), _mm256_and_si256(words, _mm256_set1_epi32(0xffff_0000u32 as i32))],
    dot: |s, x, w| _mm256_fmadd_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(w), s),
    end: |sum, _panel, c| sum,
);

tile!(
    int8, int8_block, HEAD, _mm256_setzero_si256(),
    x: |words| {
        let low = _mm256_set1_epi16(0xff);
        [_mm256_and_si256(words, low), _mm256_and_si256(_mm256_srli_epi32::<8>(words), low)]
    },
    w: |words| [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(words)), _mm256_srai_epi16::<8>(words)],
    dot: |s, x, w| _mm256_add_epi32(s, _mm256_madd_epi16(x, w)),
    end: |sum, panel, c| {
        let exact = _mm256_sub_epi32(sum, _mm256_loadu_si256(panel.add(WIDTH + c).cast()));
        _mm256_mul_ps(_mm256_cvtepi32_ps(exact), _mm256_loadu_ps(panel.add(c)))
    },
);
