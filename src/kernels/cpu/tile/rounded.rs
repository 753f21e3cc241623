//! The tile of low precision: some rows of rounded numbers times a packed panel of rounded weights.
//!
//! A *word* is 32 bits, kept as the bits of an f32: two bf16, or four steps of int8. The formula is that of [`super::Tile`] with words
//! in place of numbers: a word of a row meets the word of a column, and what stands in both at the same place is multiplied. Rows
//! begin at any number, not at words only; what a run reads behind its last number meets weights of 0,
//! and need only be finite.
//!
//! Sums of int8 are exact, so their order is free: all tables give the same bits. Sums of bf16 are f32, in the order of the table.

use super::finish::{self, Finish};
use super::{ROWS, Results, WIDTH};
use crate::kernels::cpu::math::vectorised;

/// The tile's formula for one set of instructions and one precision.
///
/// # Safety
/// The machine has the instructions, every number that the tile names lies in its slice, and the results are not shared.
pub type RoundedFn = unsafe fn(tile: &Rounded, y: *mut f32, to: &[usize], finish: &Finish);

/// Words at the head of a panel of int8: for each column what a sum of steps is worth, and the sum that zeros of the input make.
pub const HEAD: usize = 2 * WIDTH;

/// Where a tile finds its factors.
#[derive(Clone, Copy)]
pub struct Rounded<'a> {
    /// Rows of words.
    pub x: &'a [f32],
    /// For each row, the byte of `x` where its first number is: from one to [`ROWS`] of them.
    pub from: &'a [usize],
    /// How often all runs come, and bytes from one time to the next.
    pub repeats: usize,
    pub x_repeat: usize,
    /// Runs, and bytes from one to the next.
    pub runs: usize,
    pub x_run: usize,
    /// Words of a run.
    pub words: usize,
    /// The panel: its head if it has one, and [`WIDTH`] words for each word of each run.
    pub w: &'a [f32],
    /// Columns, from one to [`WIDTH`].
    pub width: usize,
}

impl Rounded<'_> {
    /// Computes the tile by this function of a table.
    ///
    /// # Safety
    /// Nobody else reads or writes `y[to[p]..to[p] + width]` meanwhile, for any `p`, and these rows do not overlap; the machine has
    /// the instructions of `by`, and the panel has a head if `by` is of int8.
    pub unsafe fn run(&self, by: RoundedFn, y: Results, to: &[usize], finish: &Finish) {
        let (rows, width) = (self.from.len(), self.width);
        assert!((1..=ROWS).contains(&rows) && to.len() == rows && (1..=WIDTH).contains(&width), "bug: no tile");
        assert!(self.repeats.min(self.runs).min(self.words) > 0, "bug: a tile of nothing");
        let most = |offsets: &[usize]| offsets.iter().fold(0, |a, b| a.max(*b));
        let last = (self.repeats - 1) * self.x_repeat + (self.runs - 1) * self.x_run + 4 * self.words;
        assert!(most(self.from) + last <= 4 * self.x.len(), "bug: a tile reads behind its rows");
        let panel = self.repeats * self.runs * self.words * WIDTH;
        assert!(self.w.len() == panel || self.w.len() == HEAD + panel, "bug: a tile reads behind its weights");
        let end = most(to) + width;
        assert!(end <= y.len, "bug: a tile writes behind its results");
        assert!(finish.residual.is_none_or(|r| end <= r.len()), "bug: a tile reads behind its residual");
        assert!(finish.bias.is_none_or(|b| width <= b.len()), "bug: a tile reads behind its bias");
        // SAFETY: every offset that the formula names lies in its slice, as asserted; the caller promises the rest.
        unsafe { by(self, y.data, to, finish) }
    }
}

/// Adds up `S`s by `add(sum, word of x, word of w)` in the order of the formula, for one row.
///
/// # Safety
/// Every word that the formula names lies in its slice; `w` is the panel without its head.
#[inline(always)]
unsafe fn row<S: Copy>(
    tile: &Rounded,
    from: usize,
    w: &[f32],
    mut sums: [S; WIDTH],
    add: impl Fn(S, u32, u32) -> S,
) -> [S; WIDTH] {
    let mut w = w.chunks_exact(WIDTH);
    for (repeat, run) in (0..tile.repeats).flat_map(|repeat| (0..tile.runs).map(move |run| (repeat, run))) {
        let start = from + repeat * tile.x_repeat + run * tile.x_run;
        for (l, w) in w.by_ref().take(tile.words).enumerate() {
            // SAFETY: the caller promises that the word lies in the slice; it is read byte by byte.
            let x = unsafe { tile.x.as_ptr().cast::<u8>().add(start + 4 * l).cast::<u32>().read_unaligned() };
            let w: &[f32; WIDTH] = w.try_into().expect("a whole row of a panel");
            (0..WIDTH).for_each(|c| sums[c] = add(sums[c], x, w[c].to_bits()));
        }
    }
    sums
}

/// Adds the products of two bf16.
#[inline(always)]
fn add_halves(sum: f32, x: u32, w: u32) -> f32 {
    let (low, high) = (|word: u32| f32::from_bits(word << 16), |word: u32| f32::from_bits(word & 0xffff_0000));
    sum + low(x) * low(w) + high(x) * high(w)
}

/// Adds the products of four steps.
#[inline(always)]
fn add_quarters(sum: i32, x: u32, w: u32) -> i32 {
    let term = |byte: u32| ((x >> (8 * byte)) & 0xff) as i32 * i32::from((w >> (8 * byte)) as u8 as i8);
    sum + (term(0) + term(1) + term(2) + term(3))
}

/// The tile of bf16 in plain loops.
///
/// # Safety
/// See [`RoundedFn`].
pub unsafe fn bf16(tile: &Rounded, y: *mut f32, to: &[usize], finish: &Finish) {
    vectorised(
        #[inline(always)]
        || {
            let mut sums = [[0.0f32; WIDTH]; ROWS];
            for (sums, from) in sums.iter_mut().zip(tile.from) {
                // SAFETY: the caller promises it.
                *sums = unsafe { row(tile, *from, tile.w, *sums, add_halves) };
            }
            // SAFETY: the caller promises what `finish` asks for.
            unsafe { finish::finish(&mut sums[..to.len()], tile.width, y, to, finish) };
        },
    );
}

/// The tile of int8 in plain loops.
///
/// # Safety
/// See [`RoundedFn`].
pub unsafe fn int8(tile: &Rounded, y: *mut f32, to: &[usize], finish: &Finish) {
    let (head, panel) = tile.w.split_at(HEAD);
    vectorised(
        #[inline(always)]
        || {
            let mut sums = [[0.0f32; WIDTH]; ROWS];
            for (sums, from) in sums.iter_mut().zip(tile.from) {
                // SAFETY: the caller promises it.
                let exact = unsafe { row(tile, *from, panel, [0; WIDTH], add_quarters) };
                (0..WIDTH).for_each(|c| sums[c] = (exact[c] - head[WIDTH + c].to_bits() as i32) as f32 * head[c]);
            }
            // SAFETY: the caller promises what `finish` asks for.
            unsafe { finish::finish(&mut sums[..to.len()], tile.width, y, to, finish) };
        },
    );
}
