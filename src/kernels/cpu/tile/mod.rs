//! The tile: some rows times a panel of weights, in registers. Linear layers, convolutions, their gradients, Winograd and
//! attention are loops over it.
//!
//! `y[to[p] + c] = f(Σ_r Σ_l x[from[p] + r · x_run + l · x_step] · w[r · w_run + l · w_row + c] + bias[c] + residual[to[p] + c])`
//! for up to [`ROWS`] rows `p` and up to [`WIDTH`] columns `c`. The sum runs in that order by fused multiplications, one
//! accumulator for each result, so its bits depend on nothing but the numbers; the portable tile rounds every product. With AVX-512, tiles of
//! one to three rows sum every fourth term in an accumulator of its own, because one sum alone would wait for each addition.
//!
//! All of that may come several times, a step further in `x` and in `w` each time, as for the images of a batch.
//!
//! A convolution's row is a pixel: its runs are the rows of the window, each of `kernel width · channels` numbers in a row. In a
//! weight gradient a row is an input channel, and the sum runs over the pixels.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod finish;
mod isa;
mod portable;
mod rounded;
#[cfg(target_arch = "x86_64")]
mod rounded256;
#[cfg(target_arch = "x86_64")]
mod rounded512;
mod transpose;

pub use finish::Finish;
pub use isa::{Isa, VARIABLE, all, choose, chosen};
pub use rounded::{HEAD, Rounded, RoundedFn};
pub use transpose::{panel_of_columns, panel_of_rows, transpose};

use std::marker::PhantomData;

/// The most rows of a tile.
pub const ROWS: usize = 14;

/// The most columns of a tile, and the columns of a packed panel.
pub const WIDTH: usize = 32;

/// Results that several tiles write, each its own.
#[derive(Clone, Copy)]
pub struct Results<'a> {
    data: *mut f32,
    len: usize,
    whole: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a borrow of a slice of numbers; who writes through it promises to write no number that another uses.
unsafe impl Send for Results<'_> {}
// SAFETY: as above.
unsafe impl Sync for Results<'_> {}

impl<'a> Results<'a> {
    pub fn new(data: &'a mut [f32]) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len(), whole: PhantomData }
    }

    pub fn len(self) -> usize {
        self.len
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// A part of the results as a slice.
    ///
    /// # Safety
    /// While the slice lives, nobody else reads or writes these numbers.
    #[allow(clippy::mut_from_ref, reason = "the caller promises that parts do not overlap")]
    pub unsafe fn part(self, start: usize, len: usize) -> &'a mut [f32] {
        assert!(start <= self.len && len <= self.len - start, "bug: a part beyond the results");
        // SAFETY: the part lies in the slice that `self` borrows, and the caller promises that it is not shared.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(start), len) }
    }

    /// Where a number stands, from which on there are at least `len`.
    pub fn pointer(self, start: usize, len: usize) -> *mut f32 {
        assert!(start <= self.len && len <= self.len - start, "bug: a part beyond the results");
        self.data.wrapping_add(start)
    }

    /// Writes finished rows of `width` sums, from `to[p]` on for each.
    ///
    /// # Safety
    /// Nobody else reads or writes these numbers meanwhile, and they do not overlap.
    #[inline(always)]
    pub unsafe fn finish(self, sums: &mut [[f32; WIDTH]], width: usize, to: &[usize], finish: &Finish) {
        let end = to.iter().fold(0, |a, b| a.max(*b)) + width;
        assert!(end <= self.len && width <= WIDTH, "bug: sums that end behind their results");
        assert!(finish.residual.is_none_or(|r| end <= r.len()), "bug: sums that end behind their residual");
        assert!(finish.bias.is_none_or(|b| width <= b.len()), "bug: sums that end behind their bias");
        // SAFETY: as asserted, and the caller promises that the results are not shared.
        unsafe { finish::finish(sums, width, self.data, to, finish) }
    }
}

/// Where a tile finds its factors; see the module for the formula.
#[derive(Clone, Copy)]
pub struct Tile<'a> {
    pub x: &'a [f32],
    /// For each row, its first number in `x`: from one to [`ROWS`] of them.
    pub from: &'a [usize],
    pub x_run: usize,
    pub x_step: usize,
    pub runs: usize,
    /// Numbers in a run.
    pub len: usize,
    /// How often all runs come, each time `x_repeat` and `w_repeat` further.
    pub repeats: usize,
    pub x_repeat: usize,
    pub w_repeat: usize,
    pub w: &'a [f32],
    pub w_run: usize,
    pub w_row: usize,
    /// Columns, from one to [`WIDTH`]. No weight behind them is read.
    pub width: usize,
}

impl<'a> Tile<'a> {
    /// Rows of `len` numbers times a packed panel, all in one run.
    pub fn rows(x: &'a [f32], from: &'a [usize], len: usize, w: &'a [f32], width: usize) -> Self {
        Self {
            repeats: 1,
            x_repeat: 0,
            w_repeat: 0,
            x,
            from,
            x_run: 0,
            x_step: 1,
            runs: 1,
            len,
            w,
            w_run: 0,
            w_row: WIDTH,
            width,
        }
    }

    /// Computes the tile.
    ///
    /// # Safety
    /// Nobody else reads or writes `y[to[p]..to[p] + width]` meanwhile, for any `p`, and these rows do not overlap.
    pub unsafe fn run(&self, y: Results, to: &[usize], finish: &Finish) {
        let (rows, width) = (self.from.len(), self.width);
        assert!((1..=ROWS).contains(&rows) && to.len() == rows && (1..=WIDTH).contains(&width), "bug: no tile");
        let last = |repeat, run, step| {
            (self.repeats.max(1) - 1) * repeat + (self.runs.max(1) - 1) * run + (self.len.max(1) - 1) * step
        };
        let most = |offsets: &[usize]| offsets.iter().fold(0, |a, b| a.max(*b));
        let empty = self.repeats * self.runs * self.len == 0;
        assert!(
            empty || most(self.from) + last(self.x_repeat, self.x_run, self.x_step) < self.x.len(),
            "bug: a tile reads behind its rows"
        );
        assert!(
            empty || last(self.w_repeat, self.w_run, self.w_row) + width <= self.w.len(),
            "bug: a tile reads behind its weights"
        );
        let end = most(to) + width;
        assert!(end <= y.len, "bug: a tile writes behind its results");
        assert!(finish.residual.is_none_or(|r| end <= r.len()), "bug: a tile reads behind its residual");
        assert!(finish.bias.is_none_or(|b| width <= b.len()), "bug: a tile reads behind its bias");
        // SAFETY: every offset that the formula names lies in its slice, as asserted; the caller promises that the results are
        // not shared; and a table is only chosen on a machine that has its instructions.
        unsafe { (chosen().tile)(self, y.data, to, finish) }
    }
}

/// Numbers that a packed matrix of `columns` and `depth` takes.
pub fn packed_len(columns: usize, depth: usize) -> usize {
    columns.div_ceil(WIDTH) * depth * WIDTH
}

/// Fills panel after panel: `panels[c / WIDTH][k][c % WIDTH] = at(k, c)`, and 0 in the columns that the last one lacks.
pub fn pack(panels: &mut [f32], columns: usize, depth: usize, at: impl Fn(usize, usize) -> f32 + Sync) {
    assert_eq!(panels.len(), packed_len(columns, depth), "bug: panels of another size");
    super::parallel::pieces(panels, depth * WIDTH, depth * WIDTH, |panel, numbers| {
        let width = WIDTH.min(columns - panel * WIDTH);
        for (k, row) in numbers.chunks_exact_mut(WIDTH).enumerate() {
            row[..width].iter_mut().enumerate().for_each(|(c, w)| *w = at(k, panel * WIDTH + c));
            row[width..].fill(0.0);
        }
    });
}

#[cfg(test)]
mod tests;
