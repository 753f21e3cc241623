//! Products of matrices, as loops over tiles: `y = f(left · right + bias + residual)`, or `y += …`.
//!
//! A task computes some rows of some panels of columns. It brings its factors into the order in which tiles read them, where they
//! are not yet: that costs a few hundredths of the product as long as a task has several strips of rows and panels. How a product
//! is cut follows from its sizes alone, and so do the bits of its sums.

use super::parallel::{scratch, tasks};
use super::tile::{Finish, ROWS, Results, Tile, WIDTH, panel_of_columns, panel_of_rows, transpose};
use std::ops::Range;

/// The left factor, `rows × depth`; stored rows begin `row` apart.
#[derive(Clone, Copy, Debug)]
pub enum Left<'a> {
    Rows {
        numbers: &'a [f32],
        row: usize,
    },
    /// Stored as its transpose, `depth × rows`.
    Columns {
        numbers: &'a [f32],
        row: usize,
    },
}

/// The right factor, `depth × columns`; stored rows begin `row` apart.
#[derive(Clone, Copy, Debug)]
pub enum Right<'a> {
    /// Panel after panel, see [`super::tile::pack`].
    Packed(&'a [f32]),
    Rows {
        numbers: &'a [f32],
        row: usize,
    },
    /// Stored as its transpose, `columns × depth`.
    Columns {
        numbers: &'a [f32],
        row: usize,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    pub rows: usize,
    pub columns: usize,
    pub depth: usize,
    pub left: Left<'a>,
    pub right: Right<'a>,
}

/// Multiplications of a task that is worth its start.
const LEAST: usize = 1 << 17;

/// Multiplications of a task that need not be smaller.
const TASK: usize = 1 << 20;

/// Tasks that keep some threads equally busy until the end.
const TASKS: usize = 8;

/// Numbers of the left factor that stay in a core's cache while panels pass by.
const CACHED: usize = 96 * 1024;

/// A longer sum, when nothing but sums is wanted, is computed in parts of about this length.
const DEPTH: usize = 512;

/// A shorter sum reads columns of the left factor where they are, which a cache holds.
const SHALLOW: usize = 129;

/// With fewer strips than this, columns are read where they are, since each is read only so often.
const STRIPS: usize = 3;

/// Part `i` of `n` about equal ones.
fn part(whole: usize, n: usize, i: usize) -> Range<usize> {
    whole * i / n..whole * (i + 1) / n
}

impl Product<'_> {
    /// Computes the product on all threads. Rows of `y` begin `y_row` apart; `finish.bias` is for all columns.
    pub fn run(&self, y: &mut [f32], y_row: usize, finish: &Finish) {
        let (strips, panels) = (self.rows.div_ceil(ROWS), self.columns.div_ceil(WIDTH));
        if strips * panels == 0 {
            return;
        }
        assert!(y_row >= self.columns, "bug: rows of a product overlap");
        let (chunks, blocks) = self.cut(strips, panels);
        let y = Results::new(y);
        let work = self.rows * self.columns * self.depth.max(1) / (chunks * blocks);
        tasks(chunks * blocks, work, |task| {
            let strips = part(strips, chunks, task % chunks);
            let panels = part(panels, blocks, task / chunks);
            // SAFETY: tasks differ in their rows or in their columns, so no two write the same number.
            unsafe { self.block(strips, panels, y, y_row, finish) };
        });
    }

    /// Computes the product on the thread that asks.
    pub fn within(&self, y: &mut [f32], y_row: usize, finish: &Finish) {
        let (strips, panels) = (self.rows.div_ceil(ROWS), self.columns.div_ceil(WIDTH));
        assert!(y_row >= self.columns, "bug: rows of a product overlap");
        // SAFETY: `y` is borrowed exclusively, and its rows lie apart.
        unsafe { self.block(0..strips, 0..panels, Results::new(y), y_row, finish) };
    }

    /// Parts of the strips, and parts of the panels.
    fn cut(&self, strips: usize, panels: usize) -> (usize, usize) {
        let work = self.rows * self.columns * self.depth.max(1);
        let wanted = (work / LEAST).clamp(1, TASKS).max(work / TASK);
        let cached = (CACHED / (ROWS * self.depth.clamp(1, DEPTH))).max(STRIPS);
        let least = strips.div_ceil(cached);
        let (chunks, blocks) = match self.left {
            // Rows that must be brought in order are brought once, and used with all panels.
            Left::Columns { .. } => {
                let chunks = least.max(wanted.min(strips / (2 * STRIPS))).max(1);
                (chunks, TASKS.min(wanted).div_ceil(chunks))
            }
            // Panels that must be packed are packed once for each chunk of rows.
            Left::Rows { .. } => {
                let chunks = least.max(TASKS.min(wanted).div_ceil(panels));
                (chunks, wanted.div_ceil(chunks))
            }
        };
        (chunks.min(strips), blocks.min(panels))
    }

    /// Computes some strips and panels.
    ///
    /// # Safety
    /// Nobody else reads or writes these results meanwhile, and rows of `y` do not overlap.
    unsafe fn block(&self, strips: Range<usize>, panels: Range<usize>, y: Results, y_row: usize, finish: &Finish) {
        let count = self.rows.div_ceil(ROWS);
        let rows = part(self.rows, count.max(1), strips.start).start..self.rows * strips.end / count.max(1);
        let plain = Finish { add: false, ..*finish }.is_empty();
        let parts = if plain { self.depth.div_ceil(DEPTH).max(1) } else { 1 };
        for i in 0..parts {
            let depth = part(self.depth, parts, i);
            let finish = Finish { add: finish.add || i > 0, ..*finish };
            let run = |numbers: &[f32], (row, step): (usize, usize), first: usize| {
                let own = Own { rows: first, strips: strips.clone(), depth: depth.clone(), numbers, row, step };
                // SAFETY: the caller promises it.
                unsafe { self.panels(&own, panels.clone(), y, y_row, &finish) }
            };
            match self.left {
                Left::Rows { numbers, row } => run(&numbers[depth.start.min(numbers.len())..], (row, 1), 0),
                Left::Columns { numbers, row } if depth.len() < SHALLOW => {
                    run(&numbers[(depth.start * row).min(numbers.len())..], (1, row), 0);
                }
                Left::Columns { numbers, row } => scratch(rows.len() * depth.len(), |own| {
                    let numbers = &numbers[(depth.start * row + rows.start).min(numbers.len())..];
                    transpose(numbers, row, depth.len(), rows.len(), own, depth.len());
                    run(own, (depth.len(), 1), rows.start);
                }),
            }
        }
    }

    /// # Safety
    /// As for [`Product::block`].
    unsafe fn panels(&self, own: &Own, panels: Range<usize>, y: Results, y_row: usize, finish: &Finish) {
        let few = own.strips.len() < STRIPS;
        for panel in panels {
            let first = panel * WIDTH;
            let columns = WIDTH.min(self.columns - first);
            let finish = Finish { bias: finish.bias.map(|b| &b[first..first + columns]), ..*finish };
            let run = |w: &[f32], w_row: usize| {
                // SAFETY: the caller promises it.
                unsafe { self.strips(own, (w, w_row), (first, columns), y, y_row, &finish) }
            };
            let (start, depth) = (own.depth.start, own.depth.len());
            match self.right {
                Right::Packed(w) => run(&w[(panel * self.depth + start) * WIDTH..][..depth * WIDTH], WIDTH),
                Right::Rows { numbers, row } if few => run(&numbers[(start * row + first).min(numbers.len())..], row),
                Right::Rows { numbers, row } => scratch(depth * WIDTH, |w| {
                    panel_of_columns(w, &numbers[(start * row + first).min(numbers.len())..], row, columns, depth);
                    run(w, WIDTH);
                }),
                Right::Columns { numbers, row } => scratch(depth * WIDTH, |w| {
                    panel_of_rows(w, &numbers[first * row + start..], row, columns, depth);
                    run(w, WIDTH);
                }),
            }
        }
    }

    /// # Safety
    /// As for [`Product::block`].
    unsafe fn strips(
        &self,
        own: &Own,
        (w, w_row): (&[f32], usize),
        (first, columns): (usize, usize),
        y: Results,
        y_row: usize,
        finish: &Finish,
    ) {
        let count = self.rows.div_ceil(ROWS);
        for strip in own.strips.clone() {
            let rows = part(self.rows, count, strip);
            let (mut from, mut to) = ([0; ROWS], [0; ROWS]);
            for (p, row) in rows.clone().enumerate() {
                from[p] = (row - own.rows) * own.row;
                to[p] = row * y_row + first;
            }
            let tile = Tile::rows(own.numbers, &from[..rows.len()], own.depth.len(), w, columns);
            let tile = Tile { w_row, x_step: own.step, ..tile };
            // SAFETY: the caller promises it.
            unsafe { tile.run(y, &to[..rows.len()], finish) };
        }
    }
}

/// What a task has of the left factor: its strips, and some of the depth.
struct Own<'a> {
    numbers: &'a [f32],
    /// From the start of a row to that of the next.
    row: usize,
    /// From a number of a row to the next.
    step: usize,
    /// The first row that `numbers` has.
    rows: usize,
    strips: Range<usize>,
    depth: Range<usize>,
}

#[cfg(test)]
mod tests {
    use super::super::tile::{pack, packed_len};
    use super::*;

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 37 + seed * 11) % 23) as f32 / 8.0 - 1.25).collect()
    }

    /// Every kind of factor; sizes around those of tiles, blocks and parts of the depth. The numbers are eighths, so sums are
    /// exact.
    #[test]
    fn products_of_every_kind_and_size() {
        let sizes =
            [(1, 1, 1), (3, 33, 7), (13, 31, 16), (14, 32, 40), (15, 65, 5), (29, 7, 600), (90, 70, 33), (0, 5, 3)];
        for (rows, columns, depth) in sizes {
            let (a, b) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
            let transposed = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
                (0..x.len()).map(|i| x[i % rows * columns + i / rows]).collect()
            };
            let (at, bt) = (transposed(&a, rows, depth), transposed(&b, depth, columns));
            let mut packed = vec![0.0; packed_len(columns, depth)];
            pack(&mut packed, columns, depth, |k, c| b[k * columns + c]);
            let dot = |r: usize, c: usize| (0..depth).map(|k| a[r * depth + k] * b[k * columns + c]).sum::<f32>();
            let bias = numbers(columns, 3);
            for left in [Left::Rows { numbers: &a, row: depth }, Left::Columns { numbers: &at, row: rows }] {
                let packed = Right::Packed(&packed);
                let plain = Right::Rows { numbers: &b, row: columns };
                for right in [packed, plain, Right::Columns { numbers: &bt, row: depth }] {
                    for (add, bias) in [(false, None), (true, None), (true, Some(&bias))] {
                        let product = Product { rows, columns, depth, left, right };
                        let finish = Finish { bias: bias.map(Vec::as_slice), add, ..Finish::default() };
                        let before = if add { 0.5 } else { f32::NAN };
                        let row = columns + 3;
                        for within in [false, true] {
                            let mut y = vec![before; rows * row];
                            if within {
                                product.within(&mut y, row, &finish);
                            } else {
                                product.run(&mut y, row, &finish);
                            }
                            for (i, &got) in y.iter().enumerate() {
                                let (r, c) = (i / row, i % row);
                                let sum = || dot(r, c) + bias.map_or(0.0, |b| b[c]) + if add { 0.5 } else { 0.0 };
                                let want = if c < columns { sum() } else { before };
                                let same = got == want || got.is_nan() && want.is_nan();
                                assert!(same, "{rows} {columns} {depth}: {got} and {want} in {product:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}
