//! Tasks that are numbered, and results that several tasks write parts of: what [`super::parallel::pieces`] cannot cut, because
//! the parts of a task do not stand in one row.

use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Below this many operations, starting threads costs more than they save.
const GRAIN: usize = 1 << 16;

/// Calls `f` with each number below `n`, `work` operations each. Which thread takes a task is open.
pub fn tasks(n: usize, work: usize, f: impl Fn(usize) + Sync) {
    let f = &f;
    let together = GRAIN.div_ceil(work.max(1));
    if n < 2 * together || rayon::current_num_threads() == 1 {
        return (0..n).for_each(f);
    }
    (0..n).into_par_iter().with_min_len(together).for_each(f);
}

/// Numbers that several tasks write, each its own.
pub struct Shared<'a> {
    start: *mut f32,
    len: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it stands for a borrow of numbers, which may be sent. It hands them out only by `Shared::part`, whose caller answers
// for it that no two threads hold the same one.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub fn new(data: &'a mut [f32]) -> Self {
        Self { start: data.as_mut_ptr(), len: data.len(), borrowed: PhantomData }
    }

    /// # Safety
    ///
    /// No number of the range is in another part at the same time.
    #[allow(clippy::mut_from_ref, reason = "the caller keeps parts apart")]
    // SAFETY: what the caller must keep stands above.
    pub unsafe fn part(&self, range: Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "bug: a part beyond its numbers");
        // SAFETY: the range lies within the numbers borrowed by `new`, and the caller keeps others away from it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Where the numbers begin.
    ///
    /// # Safety
    ///
    /// Who writes through it holds what he writes by himself, as for [`Shared::part`].
    // SAFETY: what the caller must keep stands above.
    pub unsafe fn pointer(&self) -> *mut f32 {
        self.start
    }
}
