//! One block of memory that all values of a program share, and windows into it.
//!
//! A kernel reads some places of the arena while it writes others. Which, is known before anything runs: a [`Window`] is checked
//! once, and opened at every step without a check or an allocation.

use smallvec::SmallVec;
use std::ops::Range;

/// Numbers in a cache line, to which blocks are aligned.
pub const LINE: usize = 16;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code, reason = "read through the slice")] [f32; LINE]);

/// A block of numbers that begins at a cache line.
#[derive(Default)]
pub struct Block {
    lines: Vec<Line>,
    len: usize,
}

impl Block {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// So many zeros.
    pub fn of(len: usize) -> Self {
        let mut block = Block::default();
        block.grow(len);
        block
    }

    /// What the block takes of memory.
    pub fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }

    /// Forgets the numbers, and keeps the memory.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.len = 0;
    }

    /// Makes the block at least `len` long; new numbers are 0.
    pub fn grow(&mut self, len: usize) {
        if len > self.len {
            super::pages::reserve(&mut self.lines, len.div_ceil(LINE));
            self.lines.resize(len.div_ceil(LINE), Line([0.0; LINE]));
            self.len = len;
        }
    }

    pub fn as_slice(&self) -> &[f32] {
        // SAFETY: a line is sixteen numbers without padding, and the lines hold at least `len` numbers.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the block is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl From<&[f32]> for Block {
    fn from(numbers: &[f32]) -> Self {
        let mut block = Block::of(numbers.len());
        block.as_mut_slice().copy_from_slice(numbers);
        block
    }
}

/// How many slices a window opens without an allocation.
const FEW: usize = 16;

pub type Reads<'a> = SmallVec<[&'a [f32]; FEW]>;
pub type Writes<'a> = SmallVec<[&'a mut [f32]; FEW]>;

/// Ranges of a block: some to read, which may overlap each other, and some to write, each apart from all others.
#[derive(Clone, Debug, Default)]
pub struct Window {
    reads: Vec<Range<usize>>,
    writes: Vec<Range<usize>>,
    /// The end of the last range.
    end: usize,
}

impl Window {
    /// Checks the ranges. Empty ones are apart from everything.
    pub fn new(reads: Vec<Range<usize>>, writes: Vec<Range<usize>>) -> Self {
        let apart =
            |a: &Range<usize>, b: &Range<usize>| a.is_empty() || b.is_empty() || a.end <= b.start || b.end <= a.start;
        for (i, write) in writes.iter().enumerate() {
            let others = reads.iter().chain(&writes[..i]);
            assert!(others.clone().all(|other| apart(write, other)), "bug: a place is written while it is used");
        }
        assert!(reads.iter().chain(&writes).all(|r| r.start <= r.end), "bug: a range ends before it begins");
        let end = reads.iter().chain(&writes).map(|r| r.end).max().unwrap_or(0);
        Self { reads, writes, end }
    }

    /// The slices, in the order of the ranges.
    pub fn open<'a>(&self, block: &'a mut Block) -> (Reads<'a>, Writes<'a>) {
        assert!(self.end <= block.len(), "bug: a window larger than its block");
        let data = block.as_mut_slice().as_mut_ptr();
        // SAFETY: every range ends within the block, as asserted here; those to write overlap no other, as `new` asserted, so each
        // of them is the only access to its numbers; and the block is borrowed exclusively as long as the slices live.
        unsafe {
            let reads = self.reads.iter().map(|r| std::slice::from_raw_parts(data.add(r.start).cast_const(), r.len()));
            let writes = self.writes.iter().map(|r| std::slice::from_raw_parts_mut(data.add(r.start), r.len()));
            (reads.collect(), writes.collect())
        }
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "windows are lists of ranges")]
mod tests {
    use super::*;

    #[test]
    fn windows_open_what_they_were_made_for() {
        let mut block = Block::from(&[0.0, 1.0, 2.0, 3.0, 4.0][..]);
        assert_eq!(block.as_slice().as_ptr() as usize % 64, 0);
        let window = Window::new(vec![0..2, 1..2, 3..3], vec![2..4, 4..5]);
        let (reads, mut writes) = window.open(&mut block);
        assert_eq!((reads[0], reads[1], reads[2]), (&[0.0, 1.0][..], &[1.0][..], &[][..]));
        writes[1][0] = reads[0][1];
        writes[0][0] = 9.0;
        drop((reads, writes));
        assert_eq!(block.as_slice(), [0.0, 1.0, 9.0, 3.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "written while it is used")]
    fn what_is_written_is_not_read() {
        Window::new(vec![0..3], vec![2..4]);
    }

    #[test]
    #[should_panic(expected = "larger than its block")]
    fn a_window_stays_in_its_block() {
        Window::new(vec![0..3], vec![]).open(&mut Block::from(&[1.0, 2.0][..]));
    }
}
