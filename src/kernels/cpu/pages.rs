//! Large pages for large buffers.
//!
//! Kernels walk through many megabytes, and matrices by their columns. With pages of 4 KiB most of such a walk is the machine
//! looking up where the next page is, so the system is asked for larger ones. Whether it grants them changes no result.

/// Buffers of fewer bytes are left alone: they may not hold a single large page, which is 2 MiB where there are any.
#[cfg(target_os = "linux")]
const LEAST: usize = 1 << 22;

/// Makes room for `len` elements in all, in large pages where the system has them.
pub fn reserve<T>(buffer: &mut Vec<T>, len: usize) {
    if len <= buffer.capacity() {
        return;
    }
    buffer.reserve_exact(len - buffer.len());
    #[cfg(target_os = "linux")]
    advise(buffer.spare_capacity_mut());
}

/// Asks for large pages where nothing has been written yet.
#[cfg(target_os = "linux")]
fn advise<T>(spare: &mut [std::mem::MaybeUninit<T>]) {
    use std::ffi::{c_int, c_void};
    // SAFETY: the signature is that of the system's library, where `size_t` is `usize`.
    unsafe extern "C" {
        fn madvise(start: *mut c_void, len: usize, advice: c_int) -> c_int;
    }
    /// `MADV_HUGEPAGE`.
    const LARGE_PAGES: c_int = 14;
    const PAGE: usize = 1 << 12;
    let start = spare.as_mut_ptr().cast::<u8>();
    let skipped = start.align_offset(PAGE);
    let len = size_of_val(spare);
    if len < LEAST {
        return;
    }
    // SAFETY: the range lies in a buffer that is borrowed exclusively, and begins at a page. The advice changes no content, and
    // where it is not understood the call fails without effect, which is as good.
    unsafe { madvise(start.wrapping_add(skipped).cast(), len - skipped, LARGE_PAGES) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays() {
        let mut numbers: Vec<u32> = (0..10).collect();
        for len in [0, 11, 1 << 21, 1 << 10] {
            reserve(&mut numbers, len);
            assert!(numbers.capacity() >= len);
            assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        }
        numbers.resize(1 << 21, 7);
        assert!(numbers[10..].iter().all(|n| *n == 7));
    }
}
