//! The tile in plain loops.

use super::finish::{self, Finish};
use super::{ROWS, Tile, WIDTH};

/// Rows and columns whose sums the compiler can keep in registers of any machine.
const BLOCK: (usize, usize) = (2, 16);

/// # Safety
/// See [`super::isa::TileFn`].
pub unsafe fn tile(tile: &Tile, y: *mut f32, to: &[usize], finish: &Finish) {
    let mut sums = [[0.0; WIDTH]; ROWS];
    for first in (0..tile.from.len()).step_by(BLOCK.0) {
        for column in (0..tile.width).step_by(BLOCK.1) {
            let width = BLOCK.1.min(tile.width - column);
            let mut block = [[0.0f32; BLOCK.1]; BLOCK.0];
            let rows = &tile.from[first..tile.from.len().min(first + BLOCK.0)];
            for (n, r) in (0..tile.repeats).flat_map(|n| (0..tile.runs).map(move |r| (n, r))) {
                let (at, weights) = (n * tile.x_repeat + r * tile.x_run, n * tile.w_repeat + r * tile.w_run);
                for l in 0..tile.len {
                    let mut w = [0.0f32; BLOCK.1];
                    w[..width].copy_from_slice(&tile.w[weights + l * tile.w_row + column..][..width]);
                    for (sums, from) in block.iter_mut().zip(rows) {
                        let x = tile.x[from + at + l * tile.x_step];
                        (0..BLOCK.1).for_each(|c| sums[c] += x * w[c]);
                    }
                }
            }
            for (sums, block) in sums[first..].iter_mut().zip(&block).take(rows.len()) {
                sums[column..column + BLOCK.1].copy_from_slice(block);
            }
        }
    }
    // SAFETY: the caller promises what `finish` asks for.
    unsafe { finish::finish(&mut sums[..to.len()], tile.width, y, to, finish) };
}
