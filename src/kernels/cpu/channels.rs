//! Values whose channels stand behind each other: `[rows, channels]`, the rows being examples, or the pixels of all examples.
//!
//! Inner loops go over *strips*, some rows at once, so that they are long even where there are few channels; what belongs to
//! a channel is repeated for each row of a strip. Strips are gathered into blocks, the unit of work. Both are cut by sizes
//! alone.

use super::Shapes;
use super::parallel::{pieces, scratch};

/// Numbers that a strip has at least.
const STRIP: usize = 256;

/// Numbers that a block has about, and strips that it has at least: the sums of a block are as long as a strip.
const BLOCK: usize = 1 << 15;
const STRIPS: usize = 16;

/// How rows of channels are cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub channels: usize,
    /// Numbers in a strip, and in a block.
    pub strip: usize,
    pub block: usize,
}

impl Cut {
    pub fn new(channels: usize) -> Self {
        let strip = channels * STRIP.div_ceil(channels);
        Self { channels, strip, block: strip * (BLOCK / strip).max(STRIPS) }
    }

    /// Repeats what belongs to channels over a strip.
    pub fn repeat(self, value: impl Fn(usize) -> f32, strip: &mut [f32]) {
        let (first, rest) = strip.split_at_mut(self.channels);
        first.iter_mut().enumerate().for_each(|(c, s)| *s = value(c));
        rest.chunks_exact_mut(self.channels).for_each(|s| s.copy_from_slice(first));
    }

    /// `N` sums for each channel over `len` numbers. `add` gets the range of a block, and adds to `N` strips of sums, one behind
    /// the other. What a block gives is summed in f32, and the blocks in f64; `totals[k · channels + c]` gets sum `k`.
    pub fn sums<const N: usize>(
        self,
        len: usize,
        work: usize,
        totals: &mut [f32],
        add: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync,
    ) {
        let (blocks, each) = (len.div_ceil(self.block), N * self.strip);
        scratch(blocks * each, |partial| {
            pieces(partial, each, work * self.block.min(len), |i, sums| {
                sums.fill(0.0);
                add(i * self.block..len.min((i + 1) * self.block), sums);
            });
            // Some channels at once, so that the sums stay in registers.
            const TOGETHER: usize = 16;
            for (k, totals) in totals.chunks_exact_mut(self.channels).enumerate() {
                for (i, totals) in totals.chunks_mut(TOGETHER).enumerate() {
                    let mut wide = [0.0f64; TOGETHER];
                    for row in partial.chunks_exact(self.strip).skip(k).step_by(N) {
                        for row in row.chunks_exact(self.channels) {
                            let row = &row[i * TOGETHER..][..totals.len()];
                            wide.iter_mut().zip(row).for_each(|(w, r)| *w += f64::from(*r));
                        }
                    }
                    totals.iter_mut().zip(wide).for_each(|(t, w)| *t = w as f32);
                }
            }
        });
    }
}

/// Channels, and rows of channels, of a value as the kernels here take it.
pub fn rows(shape: &[usize]) -> (usize, usize) {
    (shape[1], shape[0] * shape[2..].iter().product::<usize>())
}

/// Examples, channels and places when the channels do *not* stand behind each other: in `[batch, channels, length]`, which is
/// no map and therefore stored as its shape says.
pub fn planes(shapes: &Shapes) -> Option<[usize; 3]> {
    let shape = &shapes.inputs[0];
    let places = shape[2..].iter().product();
    (!shapes.channels_last && places != 1).then_some([shape[0], shape[1], places])
}

/// `y[n][column][row] = x[n][row][column]`, or added to it.
pub fn transpose(x: &[f32], [n, rows, columns]: [usize; 3], add: bool, y: &mut [f32]) {
    let size = rows * columns;
    for (x, y) in x.chunks_exact(size.max(1)).zip(y.chunks_exact_mut(size.max(1))).take(n) {
        for (column, y) in y.chunks_exact_mut(rows).enumerate() {
            let x = x[column..].iter().step_by(columns);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = if add { *y + x } else { *x });
        }
    }
}
