//! The transforms of Winograd's minimal filtering `F(m × m, 3 × 3)` (Lavin and Gray, 2016), for all channels of a tile at once.
//!
//! `m × m` outputs come of `t × t` inputs, `t = m + 2`: `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`. The points are 0, ±1 and infinity for
//! `m = 2`, and ±2 too for `m = 4`. Products and sums are never fused, so the bits are the same on all machines.
//!
//! The gradient of the weights goes the same way back: `dg = Gᵀ [(A dY Aᵀ) ⊙ (Bᵀ d B)] G`, summed over all tiles before the last
//! transform.

#![allow(clippy::needless_range_loop, reason = "rows and columns of a tile stand side by side in the formulas")]

use crate::kernels::cpu::tile::{Finish, Results, WIDTH};
use pulp::{Simd, WithSimd};

/// The fraction in `G`.
const SIXTH: f32 = 1.0 / 6.0;

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

    /// `G g`.
    #[inline(always)]
    fn weights<const T: usize>(self, g: [S::f32s; 3]) -> [S::f32s; T] {
        let mut u = [g[0]; T];
        if T == 4 {
            let (outer, inner) = (self.by(0.5, self.add(g[0], g[2])), self.by(0.5, g[1]));
            u[1] = self.add(outer, inner);
            u[2] = self.sub(outer, inner);
            u[3] = g[2];
        } else {
            let (outer, inner) = (self.by(-SIXTH, self.add(g[0], g[2])), self.by(-SIXTH, g[1]));
            let (far, middle) =
                (self.add(self.by(0.25 * SIXTH, g[0]), self.by(SIXTH, g[2])), self.by(0.5 * SIXTH, g[1]));
            u[0] = self.by(0.25, g[0]);
            u[1] = self.add(outer, inner);
            u[2] = self.sub(outer, inner);
            u[3] = self.add(far, middle);
            u[4] = self.sub(far, middle);
            u[5] = g[2];
        }
        u
    }

    /// `Gᵀ u`.
    #[inline(always)]
    fn gradient<const T: usize>(self, u: [S::f32s; T]) -> [S::f32s; 3] {
        let (sum, difference) = (self.add(u[1], u[2]), self.sub(u[1], u[2]));
        if T == 4 {
            let half = self.by(0.5, sum);
            [self.add(u[0], half), self.by(0.5, difference), self.add(half, u[3])]
        } else {
            let (far, apart) = (self.add(u[3], u[4]), self.sub(u[3], u[4]));
            [
                self.add(self.sub(self.by(0.25, u[0]), self.by(SIXTH, sum)), self.by(0.25 * SIXTH, far)),
                self.sub(self.by(0.5 * SIXTH, apart), self.by(SIXTH, difference)),
                self.add(self.by(SIXTH, self.sub(far, sum)), u[5]),
            ]
        }
    }

    /// `A y`.
    #[inline(always)]
    fn slopes<const T: usize, const M: usize>(self, y: [S::f32s; M]) -> [S::f32s; T] {
        let mut z = [y[0]; T];
        if T == 4 {
            z[1] = self.add(y[0], y[1]);
            z[2] = self.sub(y[0], y[1]);
            z[3] = self.by(-1.0, y[1]);
        } else {
            let (even, odd) = (self.add(y[0], y[2]), self.add(y[1], y[3]));
            let (far, apart) = (self.add(y[0], self.by(4.0, y[2])), self.by(2.0, self.add(y[1], self.by(4.0, y[3]))));
            z[1] = self.add(even, odd);
            z[2] = self.sub(even, odd);
            z[3] = self.add(far, apart);
            z[4] = self.sub(far, apart);
            z[5] = y[3];
        }
        z
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

/// `u[start + f · apart + o] = G g Gᵀ` for a channel and the filters of a panel, with `g[k · WIDTH + o]` the samples of the windows.
/// Nobody else writes these numbers.
pub struct Weights<'a, const T: usize> {
    pub g: &'a [f32; 9 * WIDTH],
    /// Whether the windows are read from their last sample to their first.
    pub turned: bool,
    pub u: Results<'a>,
    pub start: usize,
    pub apart: usize,
}

impl<const T: usize> WithSimd for Weights<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = Lanes(simd);
        let u = self.u.pointer(self.start, (T * T - 1) * self.apart + WIDTH);
        for o in (0..WIDTH).step_by(S::F32_LANES) {
            let mut half = [[simd.splat_f32s(0.0); 3]; T];
            for j in 0..3 {
                let sample = |i: usize| if self.turned { 8 - (3 * i + j) } else { 3 * i + j };
                // SAFETY: a panel has whole vectors of every sample.
                let g = std::array::from_fn(|i| unsafe { lanes.load(self.g.as_ptr().add(sample(i) * WIDTH + o)) });
                let column = lanes.weights::<T>(g);
                (0..T).for_each(|i| half[i][j] = column[i]);
            }
            for (i, row) in half.into_iter().enumerate() {
                for (j, x) in lanes.weights::<T>(row).into_iter().enumerate() {
                    // SAFETY: a panel of all frequencies lies in the results, and whoever makes this transform is the only one
                    // to write it.
                    unsafe { lanes.store(u.add((i * T + j) * self.apart + o), x) };
                }
            }
        }
    }
}

/// `z[start + f · apart + c] = A dY Aᵀ` of a tile, for the columns of a panel, with `y[0]` the first of them at the tile's first pixel.
/// Nobody else writes these numbers.
pub struct Slopes<'a, const T: usize, const M: usize> {
    pub y: &'a [f32],
    /// Numbers to the next row and pixel.
    pub steps: [usize; 2],
    pub columns: usize,
    /// Rows and columns of the tile that lie in the result: the others are zero.
    pub size: [usize; 2],
    pub z: Results<'a>,
    pub start: usize,
    pub apart: usize,
}

impl<const T: usize, const M: usize> WithSimd for Slopes<'_, T, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = Lanes(simd);
        let ([rows, columns], [row, pixel]) = (self.size, self.steps);
        let last = (rows - 1) * row + (columns - 1) * pixel + self.columns;
        assert!(
            last <= self.y.len() && self.columns.is_multiple_of(S::F32_LANES),
            "bug: a tile that ends behind its map"
        );
        let z = self.z.pointer(self.start, (T * T - 1) * self.apart + self.columns);
        let none = simd.splat_f32s(0.0);
        for c in (0..self.columns).step_by(S::F32_LANES) {
            let mut half = [[none; M]; T];
            for j in 0..columns.min(M) {
                let y: [S::f32s; M] = std::array::from_fn(|i| {
                    if i >= rows {
                        return none;
                    }
                    // SAFETY: the last pixel of the last row that counts lies in the map, as asserted.
                    unsafe { lanes.load(self.y.as_ptr().add(i * row + j * pixel + c)) }
                });
                let column = lanes.slopes::<T, M>(y);
                (0..T).for_each(|i| half[i][j] = column[i]);
            }
            for (i, row) in half.into_iter().enumerate() {
                for (j, x) in lanes.slopes::<T, M>(row).into_iter().enumerate() {
                    // SAFETY: the columns of all frequencies lie in the results, and whoever makes this transform is the only
                    // one to write them.
                    unsafe { lanes.store(z.add((i * T + j) * self.apart + c), x) };
                }
            }
        }
    }
}

/// `dg[k · WIDTH + o] = Gᵀ u G` for a channel and the filters of a panel, with `u[f · apart + o]` the sums of a frequency.
pub struct Samples<'a, const T: usize> {
    pub u: &'a [f32],
    pub apart: usize,
    pub dg: &'a mut [f32],
}

impl<const T: usize> WithSimd for Samples<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = Lanes(simd);
        let last = (T * T - 1) * self.apart + WIDTH;
        assert!(last <= self.u.len() && self.dg.len() == 9 * WIDTH, "bug: sums that end behind their frequencies");
        for o in (0..WIDTH).step_by(S::F32_LANES) {
            let mut half = [[simd.splat_f32s(0.0); T]; 3];
            for j in 0..T {
                let u = self.u.as_ptr().wrapping_add(j * self.apart + o);
                // SAFETY: the panel of the last frequency is there, as asserted, and has whole vectors.
                let u = std::array::from_fn(|i| unsafe { lanes.load(u.add(i * T * self.apart)) });
                let column = lanes.gradient::<T>(u);
                (0..3).for_each(|i| half[i][j] = column[i]);
            }
            for (i, row) in half.into_iter().enumerate() {
                for (j, x) in lanes.gradient::<T>(row).into_iter().enumerate() {
                    // SAFETY: there is room for whole vectors of every sample, as asserted.
                    unsafe { lanes.store(self.dg.as_mut_ptr().add((3 * i + j) * WIDTH + o), x) };
                }
            }
        }
    }
}
