//! Sums and weighted sums over long rows, with the widest instructions that the machine has.
//!
//! Wider instructions compute the same numbers: no multiplication is fused with an addition, and the order of sums is written out.

use super::math::{sum_pairs, vectorised};

/// A function compiled for the widest vectors of the machine.
macro_rules! wide {
    ($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $ty:ty),*) $(-> $result:ty)? $body:block) => {
        $(#[$doc])*
        pub fn $name($($arg: $ty),*) $(-> $result)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $result)? $body
            vectorised(
                #[inline(always)]
                || body($($arg),*),
            )
        }
    };
}

wide! {
    /// `Σ a[i] · b[i]`.
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        sum_pairs(a, b, |a, b| a * b)
    }
}

wide! {
    /// `y[i] = Σ_k w[k] · x[starts[k] + i]`, some numbers at a time, so that they stay in registers.
    pub fn weigh(w: &[f32], starts: &[usize], x: &[f32], y: &mut [f32]) {
        const BLOCK: usize = 32;
        let mut blocks = y.chunks_exact_mut(BLOCK);
        let mut at = 0;
        for block in &mut blocks {
            let mut sums = [0.0f32; BLOCK];
            for (w, start) in w.iter().zip(starts) {
                let x: &[f32; BLOCK] = x[start + at..][..BLOCK].try_into().expect("a slice of that length");
                for i in 0..BLOCK {
                    sums[i] += w * x[i];
                }
            }
            block.copy_from_slice(&sums);
            at += BLOCK;
        }
        let rest = blocks.into_remainder();
        rest.fill(0.0);
        for (w, start) in w.iter().zip(starts) {
            rest.iter_mut().zip(&x[start + at..]).for_each(|(s, x)| *s += w * x);
        }
    }
}

wide! {
    /// The reverse of [`weigh`]: `x[starts[k] + i] += w[k] · y[i]`.
    pub fn spread(w: &[f32], starts: &[usize], y: &[f32], x: &mut [f32]) {
        for (w, &start) in w.iter().zip(starts) {
            x[start..].iter_mut().zip(y).for_each(|(x, y)| *x += w * y);
        }
    }
}
