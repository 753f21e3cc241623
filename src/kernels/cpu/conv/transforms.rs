//! The transforms of Winograd's minimal filtering `F(m × m, 3 × 3)` (Lavin and Gray, 2016), for all channels of a tile at once.
//!
//! `m × m` outputs come of `t × t` inputs, `t = m + 2`: `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`. The points are 0, ±1 and infinity for
//! `m = 2`, and ±2 too for `m = 4`. Products and sums are never fused, so the bits are the same on all machines.

#![allow(clippy::needless_range_loop, reason = "rows and columns of a tile stand side by side in the formulas")]

use crate::kernels::cpu::tile::{Finish, Results, WIDTH};
use pulp::{Simd, WithSimd};

/// `G`, with a row for each of the `t` points.
pub fn weights(m: usize) -> &'static [[f32; 3]] {
    const SIXTH: f32 = 1.0 / 6.0;
    const TWELFTH: f32 = 1.0 / 12.0;
    const SMALL: f32 = 1.0 / 24.0;
    match m {
        2 => &[[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]],
        _ => &[
            [0.25, 0.0, 0.0],
            [-SIXTH, -SIXTH, -SIXTH],
            [-SIXTH, SIXTH, -SIXTH],
            [SMALL, TWELFTH, SIXTH],
            [SMALL, -TWELFTH, SIXTH],
            [0.0, 0.0, 1.0],
        ],
    }
}

/// Numbers in vectors, with their arithmetic.
#[derive(Clone, Copy)]
struct Lanes<S: Simd>(S);

impl<S: Simd> Lanes<S> {
    /// # Safety
    /// A vector of numbers can be read there.
    #[inline(always)]
    unsafe fn load(self, x: *const f32) -> S::f32s {
        // SAFETY: the caller promises it, and every pattern of bits is a vector.
        unsafe { x.cast::<S::f32s>().read_unaligned() }
    }

    /// # Safety
    /// A vector of numbers can be written there, and nobody else reads or writes it.
    #[inline(always)]
    unsafe fn store(self, x: *mut f32, v: S::f32s) {
        // SAFETY: the caller promises it.
        unsafe { x.cast::<S::f32s>().write_unaligned(v) }
    }

    #[inline(always)]
    fn add(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.add_f32s(a, b)
    }

    #[inline(always)]
    fn sub(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.sub_f32s(a, b)
    }

    #[inline(always)]
    fn by(self, k: f32, a: S::f32s) -> S::f32s {
        self.0.mul_f32s(self.0.splat_f32s(k), a)
    }

    /// `Bᵀ d`.
    #[inline(always)]
    fn input<const T: usize>(self, d: [S::f32s; T]) -> [S::f32s; T] {
        let mut v = d;
        if T == 4 {
            v[0] = self.sub(d[0], d[2]);
            v[1] = self.add(d[1], d[2]);
            v[2] = self.sub(d[2], d[1]);
            v[3] = self.sub(d[1], d[3]);
        } else {
            let (even, odd) = (self.sub(d[4], self.by(4.0, d[2])), self.sub(d[3], self.by(4.0, d[1])));
            let (near, far) = (self.sub(d[4], d[2]), self.by(2.0, self.sub(d[3], d[1])));
            v[0] = self.add(self.by(4.0, self.sub(d[0], d[2])), near);
            v[1] = self.add(even, odd);
            v[2] = self.sub(even, odd);
            v[3] = self.add(near, far);
            v[4] = self.sub(near, far);
            v[5] = self.add(self.by(4.0, self.sub(d[1], d[3])), self.sub(d[5], d[3]));
        }
        v
    }

    /// `Aᵀ z`: the first `m` of the result.
    #[inline(always)]
    fn output<const T: usize, const M: usize>(self, z: [S::f32s; T]) -> [S::f32s; M] {
        let mut y = [z[0]; M];
        let (sum, difference) = (self.add(z[1], z[2]), self.sub(z[1], z[2]));
        if T == 4 {
            y[0] = self.add(z[0], sum);
            y[1] = self.sub(difference, z[3]);
        } else {
            let (far, apart) = (self.add(z[3], z[4]), self.sub(z[3], z[4]));
            y[0] = self.add(self.add(z[0], sum), far);
            y[1] = self.add(difference, self.by(2.0, apart));
            y[2] = self.add(sum, self.by(4.0, far));
            y[3] = self.add(self.add(difference, self.by(8.0, apart)), z[5]);
        }
        y
    }
}

/// `v[start + f · apart + c] = Bᵀ d B` of the tile that begins at `x[0]`, whose rows are `row` numbers apart, for every channel.
/// Nobody else writes these numbers.
pub struct Input<'a, const T: usize> {
    pub x: &'a [f32],
    pub row: usize,
    /// Channels.
    pub pixel: usize,
    pub v: Results<'a>,
    pub start: usize,
    pub apart: usize,
}

impl<const T: usize> WithSimd for Input<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = Lanes(simd);
        let last = (T - 1) * self.row + T * self.pixel;
        assert!(
            last <= self.x.len() && self.pixel.is_multiple_of(S::F32_LANES),
            "bug: a tile that ends behind its image"
        );
        let v = self.v.pointer(self.start, (T * T - 1) * self.apart + self.pixel);
        for c in (0..self.pixel).step_by(S::F32_LANES) {
            let mut half = [[simd.splat_f32s(0.0); T]; T];
            for j in 0..T {
                // SAFETY: the last pixel of the last row lies in the image, as asserted, and channels come in whole vectors.
                let d = std::array::from_fn(|i| unsafe {
                    lanes.load(self.x.as_ptr().add(i * self.row + j * self.pixel + c))
                });
                let column = lanes.input::<T>(d);
                (0..T).for_each(|i| half[i][j] = column[i]);
            }
            for (i, row) in half.into_iter().enumerate() {
                for (j, x) in lanes.input::<T>(row).into_iter().enumerate() {
                    // SAFETY: the channels of all frequencies lie in the results, and whoever makes this transform is the only
                    // one to write them.
                    unsafe { lanes.store(v.add((i * T + j) * self.apart + c), x) };
                }
            }
        }
    }
}

/// `f(Aᵀ z A + …)` of a tile, for the columns of a panel: `z[f · apart + c]` goes to the pixels at `to`, row by row.
pub struct Output<'a, const T: usize, const M: usize> {
    pub z: &'a [f32],
    pub apart: usize,
    pub columns: usize,
    /// Rows and columns of the tile that lie in the result.
    pub size: [usize; 2],
    pub y: Results<'a>,
    /// Where the first pixel goes, and numbers to the next row and pixel.
    pub to: [usize; 3],
    pub finish: Finish<'a>,
}

impl<const T: usize, const M: usize> WithSimd for Output<'_, T, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = Lanes(simd);
        let last = (T * T - 1) * self.apart + self.columns;
        let whole = self.columns <= WIDTH && self.columns.is_multiple_of(S::F32_LANES);
        assert!(last <= self.z.len() && whole, "bug: a tile that ends behind its sums");
        let mut pixels = [[[0.0f32; WIDTH]; M]; M];
        for c in (0..self.columns).step_by(S::F32_LANES) {
            let mut half = [[simd.splat_f32s(0.0); T]; M];
            for j in 0..T {
                let z = self.z.as_ptr().wrapping_add(j * self.apart + c);
                // SAFETY: the last column of the last frequency is there, as asserted, and columns come in whole vectors.
                let z = std::array::from_fn(|i| unsafe { lanes.load(z.add(i * T * self.apart)) });
                let column = lanes.output::<T, M>(z);
                (0..M).for_each(|i| half[i][j] = column[i]);
            }
            for (pixels, row) in pixels.iter_mut().zip(half) {
                let y = lanes.output::<T, M>(row);
                for (pixel, y) in pixels.iter_mut().zip(y) {
                    // SAFETY: the columns of a pixel have room for all vectors, as asserted.
                    unsafe { lanes.store(pixel.as_mut_ptr().add(c), y) };
                }
            }
        }
        let [first, row, pixel] = self.to;
        for (i, pixels) in pixels.iter_mut().take(self.size[0]).enumerate() {
            let to: [usize; M] = std::array::from_fn(|j| first + i * row + j * pixel);
            let count = self.size[1];
            // SAFETY: whoever computes this panel of this tile is the only one to write its pixels.
            unsafe { self.y.finish(&mut pixels[..count], self.columns, &to[..count], &self.finish) };
        }
    }
}
