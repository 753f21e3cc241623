//! Numbers by registers, whichever the machine has, and loads ahead of their use.

use pulp::Simd;

/// Up to a register of numbers.
#[inline(always)]
pub fn load<S: Simd>(simd: S, x: &[f32]) -> S::f32s {
    match S::as_simd_f32s(x).0 {
        [whole] => *whole,
        _ => simd.partial_load_f32s(x),
    }
}

#[inline(always)]
pub fn store<S: Simd>(simd: S, y: &mut [f32], value: S::f32s) {
    match S::as_mut_simd_f32s(y).0 {
        [whole] => *whole = value,
        _ => simd.partial_store_f32s(y, value),
    }
}

/// Numbers in a cache line.
const LINE: usize = 16;

/// Begins to load the cache line of a number, if there is any.
#[inline(always)]
pub fn fetch(number: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing and cannot fail, and every such processor has the instruction.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(number.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = number;
}

/// Begins to load what there is of `x[start..start + len]`.
#[inline(always)]
pub fn fetch_all(x: &[f32], start: usize, len: usize) {
    let mut at = start;
    while at < x.len().min(start + len) {
        fetch(x.as_ptr().wrapping_add(at));
        at += LINE;
    }
}
