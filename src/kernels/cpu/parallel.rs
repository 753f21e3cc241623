//! Work shared among threads, and memory of a thread's own.
//!
//! What a thread computes never depends on how many there are: pieces are cut by sizes alone, and every number has one writer.

use super::arena::Block;
use super::team;
use super::tile::Results;
use std::cell::RefCell;

pub use super::team::{set_threads, threads, with_threads};

/// Below this many operations, starting threads costs more than they save.
const GRAIN: usize = 1 << 16;

/// A thread takes at least so many operations in a turn.
const TURN: usize = 1 << 13;

/// Calls `f(i, piece)` for each piece of `size` numbers of `data`, `work` operations long each.
pub fn pieces(data: &mut [f32], size: usize, work: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let (size, work) = (size.max(1), work.max(1));
    let count = data.len().div_ceil(size);
    let together = GRAIN.div_ceil(work);
    if count < 2 * together || threads() == 1 {
        return data.chunks_mut(size).enumerate().for_each(|(i, piece)| f(i, piece));
    }
    let (len, all) = (data.len(), Results::new(data));
    team::run(count.div_ceil(together), &|task| {
        for i in task * together..count.min((task + 1) * together) {
            // SAFETY: piece `i` belongs to this task alone, and no two pieces overlap.
            f(i, unsafe { all.part(i * size, size.min(len - i * size)) });
        }
    });
}

/// Calls `f(i)` for each of `count` tasks, `work` operations long each, on whatever thread is free. A task owns what it writes.
pub fn tasks(count: usize, work: usize, f: impl Fn(usize) + Sync) {
    if count < 2 || count.saturating_mul(work) < 2 * GRAIN || threads() == 1 {
        return (0..count).for_each(f);
    }
    let together = TURN.div_ceil(work.max(1));
    team::run(count.div_ceil(together), &|turn| {
        (turn * together..count.min((turn + 1) * together)).for_each(&f);
    });
}

/// Numbers in a piece of a long array.
const PIECE: usize = 1 << 14;

/// Calls `f(start, piece)` for pieces of a long array of which every number is computed by itself.
pub fn long(data: &mut [f32], f: impl Fn(usize, &mut [f32]) + Sync) {
    pieces(data, PIECE, PIECE, |i, piece| f(i * PIECE, piece));
}

thread_local! {
    /// Buffers that nobody uses now.
    static SCRATCH: RefCell<Vec<Block>> = const { RefCell::new(vec![]) };
}

/// A buffer of the thread with room for `len` numbers: the smallest that has it, or else the largest, grown. So a thread soon
/// has a buffer for each depth of calls, and takes no more memory.
fn take(len: usize) -> Block {
    let found = SCRATCH.with_borrow_mut(|free| {
        let fits = |block: &Block| if block.len() >= len { (0, block.len()) } else { (1, usize::MAX - block.len()) };
        let best = (0..free.len()).min_by_key(|&i| fits(&free[i]))?;
        Some(free.swap_remove(best))
    });
    let mut block = found.unwrap_or_default();
    if block.len() < len {
        // What stands there is of no use to anyone, and need not be copied.
        block.clear();
        block.grow(len);
    }
    block
}

fn give_back(block: Block) {
    SCRATCH.with_borrow_mut(|free| free.push(block));
}

/// Calls `f` with `len` numbers of any value, from a buffer that the thread keeps and that begins at a cache line. A call within a
/// call gets another.
pub fn scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut block = take(len);
    let result = f(&mut block.as_mut_slice()[..len]);
    give_back(block);
    result
}

/// Numbers in a buffer that the thread keeps, for as long as this lives.
pub struct Kept {
    block: Block,
    len: usize,
}

/// As many zeros, from a buffer that the thread keeps.
pub fn kept(len: usize) -> Kept {
    let mut block = take(len);
    block.as_mut_slice()[..len].fill(0.0);
    Kept { block, len }
}

impl std::ops::Deref for Kept {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.block.as_slice()[..self.len]
    }
}

impl std::ops::DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.block.as_mut_slice()[..self.len]
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.block));
    }
}
