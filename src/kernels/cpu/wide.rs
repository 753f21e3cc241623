//! Sums and weighted sums over long rows, with the widest instructions that the machine has.
//!
//! Wider instructions compute the same numbers: no multiplication is fused with an addition, and the order of sums is written out.

/// A function compiled twice, for any machine and for those with AVX2, and the call of the right one.
macro_rules! wide {
    ($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $ty:ty),*) $(-> $result:ty)? $body:block) => {
        $(#[$doc])*
        pub fn $name($($arg: $ty),*) $(-> $result)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $ty),*) $(-> $result)? {
                    body($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the function is safe apart from the instructions it needs, and the machine has them.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}

/// Running sums of a reduction, always as many.
const LANES: usize = 32;

wide! {
    /// `Σ a[i]`.
    pub fn sum(a: &[f32]) -> f32 {
        let mut sums = [0.0f32; LANES];
        let (heads, tail) = a.split_at(a.len() / LANES * LANES);
        for a in heads.chunks_exact(LANES) {
            for i in 0..LANES {
                sums[i] += a[i];
            }
        }
        sums.iter().sum::<f32>() + tail.iter().sum::<f32>()
    }
}

wide! {
    /// `Σ a[i] · b[i]`.
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [0.0f32; LANES];
        let (heads_a, tail_a) = a.split_at(a.len() / LANES * LANES);
        let (heads_b, tail_b) = b.split_at(heads_a.len());
        for (a, b) in heads_a.chunks_exact(LANES).zip(heads_b.chunks_exact(LANES)) {
            for i in 0..LANES {
                sums[i] += a[i] * b[i];
            }
        }
        let tail: f32 = tail_a.iter().zip(tail_b).map(|(a, b)| a * b).sum();
        sums.iter().sum::<f32>() + tail
    }
}

wide! {
    /// `Σ (a[i] − c)`.
    pub fn centred(a: &[f32], c: f32) -> f32 {
        let mut sums = [0.0f32; LANES];
        let (heads, tail) = a.split_at(a.len() / LANES * LANES);
        for a in heads.chunks_exact(LANES) {
            for i in 0..LANES {
                sums[i] += a[i] - c;
            }
        }
        sums.iter().sum::<f32>() + tail.iter().map(|a| a - c).sum::<f32>()
    }
}

wide! {
    /// `Σ (a[i] − c)²`.
    pub fn squares(a: &[f32], c: f32) -> f32 {
        let mut sums = [0.0f32; LANES];
        let (heads, tail) = a.split_at(a.len() / LANES * LANES);
        for a in heads.chunks_exact(LANES) {
            for i in 0..LANES {
                sums[i] += (a[i] - c) * (a[i] - c);
            }
        }
        sums.iter().sum::<f32>() + tail.iter().map(|a| (a - c) * (a - c)).sum::<f32>()
    }
}

wide! {
    /// `Σ a[i] · (b[i] − c)`.
    pub fn dot_centred(a: &[f32], b: &[f32], c: f32) -> f32 {
        let mut sums = [0.0f32; LANES];
        let (heads_a, tail_a) = a.split_at(a.len() / LANES * LANES);
        let (heads_b, tail_b) = b.split_at(heads_a.len());
        for (a, b) in heads_a.chunks_exact(LANES).zip(heads_b.chunks_exact(LANES)) {
            for i in 0..LANES {
                sums[i] += a[i] * (b[i] - c);
            }
        }
        let tail: f32 = tail_a.iter().zip(tail_b).map(|(a, b)| a * (b - c)).sum();
        sums.iter().sum::<f32>() + tail
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

wide! {
    /// The larger of each two numbers; NaN is larger than every number.
    pub fn maximum(x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x > *y || x.is_nan() { *x } else { *y });
    }
}
