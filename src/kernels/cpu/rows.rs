//! Work on rows that do not depend on each other, spread over threads when there is enough of it.
//!
//! How rows are cut into blocks depends on their number and width alone, never on the number of threads.

use super::parallel::pieces;

/// Fewer numbers than this are not worth a thread.
const PARALLEL: usize = 1 << 16;

/// Numbers in a block.
const BLOCK: usize = 1 << 13;

/// Calls `work` with the number of a first row and the rows of `data` from there, `width` numbers each, until every row has had
/// its turn.
pub fn blocks(data: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    if data.len() < PARALLEL {
        return work(0, data);
    }
    let rows = (BLOCK / width).max(1);
    pieces(data, rows * width, PARALLEL, |i, block| work(i * rows, block));
}
