//! The walks of batch norm over rows of channels, strip by strip; what belongs to channels is repeated over a strip.
//!
//! A walk reads from up to four arrays at once, each too large for a cache near the core. Lines are fetched some strips ahead: a
//! gradient that is masked by a result would otherwise wait for the result, and then be waited for in turn.

use crate::kernels::cpu::function::Limits;
use crate::kernels::cpu::lanes::fetch_all;
use pulp::{Simd, WithSimd};

/// How many strips ahead of their use numbers are fetched.
const AHEAD: usize = 3;

/// [`Limits`] in registers.
#[derive(Clone, Copy)]
struct Bounds<S: Simd> {
    simd: S,
    low: S::f32s,
    high: S::f32s,
}

impl<S: Simd> Bounds<S> {
    #[inline(always)]
    fn new(simd: S, limits: Limits) -> Self {
        let [low, high] = limits.bounds();
        Self { simd, low: simd.splat_f32s(low), high: simd.splat_f32s(high) }
    }

    /// [`Limits::hold`].
    #[inline(always)]
    fn hold(self, x: S::f32s) -> S::f32s {
        let simd = self.simd;
        let x = simd.select_f32s(simd.less_than_or_equal_f32s(x, self.low), self.low, x);
        simd.select_f32s(simd.greater_than_or_equal_f32s(x, self.high), self.high, x)
    }

    /// [`Limits::pass`].
    #[inline(always)]
    fn pass(self, d: S::f32s, y: S::f32s) -> S::f32s {
        let (simd, zero) = (self.simd, self.simd.splat_f32s(0.0));
        let d = simd.select_f32s(simd.less_than_or_equal_f32s(y, self.low), zero, d);
        simd.select_f32s(simd.greater_than_or_equal_f32s(y, self.high), zero, d)
    }
}

/// `x[start..start + n]` as registers and the rest, or nothing of an empty `x`. Numbers ahead are fetched.
#[inline(always)]
fn strip<S: Simd>(x: &[f32], start: usize, n: usize, strip: usize) -> (&[S::f32s], &[f32]) {
    fetch_all(x, start + AHEAD * strip, strip);
    if x.is_empty() { (&[], &[]) } else { S::as_simd_f32s(&x[start..start + n]) }
}

/// `y = f((x − m) · s + β + residual)`, `f` the limits.
pub struct Forward<'a> {
    pub x: &'a [f32],
    /// May be empty.
    pub residual: &'a [f32],
    pub mean: &'a [f32],
    pub scale: &'a [f32],
    pub beta: &'a [f32],
    pub limits: Limits,
    pub y: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (width, bounds) = (self.mean.len(), Bounds::new(simd, self.limits));
        for (i, y) in self.y.chunks_mut(width).enumerate() {
            let (start, n) = (i * width, y.len());
            let (x, x_rest) = strip::<S>(self.x, start, n, width);
            let (residual, residual_rest) = strip::<S>(self.residual, start, n, width);
            let [(mean, mean_rest), (scale, scale_rest), (beta, beta_rest)] =
                [self.mean, self.scale, self.beta].map(|c| S::as_simd_f32s(&c[..n]));
            let (y, y_rest) = S::as_mut_simd_f32s(y);
            for j in 0..y.len() {
                let z = simd.mul_f32s(simd.sub_f32s(x[j], mean[j]), scale[j]);
                let z = simd.add_f32s(z, beta[j]);
                let z = residual.get(j).map_or(z, |r| simd.add_f32s(z, *r));
                y[j] = bounds.hold(z);
            }
            for j in 0..y_rest.len() {
                let z = (x_rest[j] - mean_rest[j]) * scale_rest[j] + beta_rest[j];
                y_rest[j] = self.limits.hold(residual_rest.get(j).map_or(z, |r| z + r));
            }
        }
    }
}

/// Adds `dz` and `dz · (x − m)` to strips of sums.
pub struct Sums<'a> {
    pub dy: &'a [f32],
    pub y: &'a [f32],
    pub x: &'a [f32],
    pub mean: &'a [f32],
    pub limits: Limits,
    pub plain: &'a mut [f32],
    pub along: &'a mut [f32],
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (width, bounds) = (self.mean.len(), Bounds::new(simd, self.limits));
        for start in (0..self.dy.len()).step_by(width) {
            let n = width.min(self.dy.len() - start);
            let [(dy, dy_rest), (y, y_rest), (x, x_rest)] =
                [self.dy, self.y, self.x].map(|numbers| strip::<S>(numbers, start, n, width));
            let (mean, mean_rest) = S::as_simd_f32s(&self.mean[..n]);
            let (plain, plain_rest) = S::as_mut_simd_f32s(&mut self.plain[..n]);
            let (along, along_rest) = S::as_mut_simd_f32s(&mut self.along[..n]);
            for j in 0..dy.len() {
                let dz = bounds.pass(dy[j], y[j]);
                plain[j] = simd.add_f32s(plain[j], dz);
                along[j] = simd.add_f32s(along[j], simd.mul_f32s(dz, simd.sub_f32s(x[j], mean[j])));
            }
            for j in 0..dy_rest.len() {
                let dz = self.limits.pass(dy_rest[j], y_rest[j]);
                plain_rest[j] += dz;
                along_rest[j] += dz * (x_rest[j] - mean_rest[j]);
            }
        }
    }
}

/// `dx = (dz − a − (x − m) · b) · s` and the gradient of the residual, each written or added where it has a place.
pub struct Write<'a> {
    pub dy: &'a [f32],
    pub y: &'a [f32],
    /// Empty, like the strips of `a` and `b`, where these are 0.
    pub x: &'a [f32],
    pub mean: &'a [f32],
    pub scale: &'a [f32],
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub limits: Limits,
    pub dx: Option<(&'a mut [f32], bool)>,
    pub dr: Option<(&'a mut [f32], bool)>,
}

/// Registers of a strip, the rest of it, and whether to add to them.
type Place<'a, S> = (&'a mut [<S as Simd>::f32s], &'a mut [f32], bool);

/// A strip of a gradient; nothing where it has no place.
#[inline(always)]
fn place<'a, S: Simd>(
    gradient: &'a mut Option<(&mut [f32], bool)>,
    start: usize,
    n: usize,
    strip: usize,
) -> Place<'a, S> {
    let Some((numbers, add)) = gradient else { return (&mut [], &mut [], false) };
    fetch_all(numbers, start + AHEAD * strip, strip);
    let (whole, rest) = S::as_mut_simd_f32s(&mut numbers[start..start + n]);
    (whole, rest, *add)
}

impl WithSimd for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (width, bounds) = (self.mean.len(), Bounds::new(simd, self.limits));
        for start in (0..self.dy.len()).step_by(width) {
            let n = width.min(self.dy.len() - start);
            let [(dy, dy_rest), (y, y_rest), (x, x_rest)] =
                [self.dy, self.y, self.x].map(|numbers| strip::<S>(numbers, start, n, width));
            let [(mean, mean_rest), (scale, scale_rest), (a, a_rest), (b, b_rest)] =
                [self.mean, self.scale, self.a, self.b].map(|c| S::as_simd_f32s(&c[..n.min(c.len())]));
            let (dx, dx_rest, add_dx) = place::<S>(&mut self.dx, start, n, width);
            let (dr, dr_rest, add_dr) = place::<S>(&mut self.dr, start, n, width);
            for j in 0..dy.len() {
                let dz = bounds.pass(dy[j], y[j]);
                if let Some(dx) = dx.get_mut(j) {
                    let inner = match x.get(j) {
                        Some(x) => {
                            let along = simd.mul_f32s(simd.sub_f32s(*x, mean[j]), b[j]);
                            simd.sub_f32s(simd.sub_f32s(dz, a[j]), along)
                        }
                        None => dz,
                    };
                    let d = simd.mul_f32s(inner, scale[j]);
                    *dx = if add_dx { simd.add_f32s(*dx, d) } else { d };
                }
                if let Some(dr) = dr.get_mut(j) {
                    *dr = if add_dr { simd.add_f32s(*dr, dz) } else { dz };
                }
            }
            for j in 0..dy_rest.len() {
                let dz = self.limits.pass(dy_rest[j], y_rest[j]);
                if let Some(dx) = dx_rest.get_mut(j) {
                    let inner = x_rest.get(j).map_or(dz, |x| dz - a_rest[j] - (x - mean_rest[j]) * b_rest[j]);
                    let d = inner * scale_rest[j];
                    *dx = if add_dx { *dx + d } else { d };
                }
                if let Some(dr) = dr_rest.get_mut(j) {
                    *dr = if add_dr { *dr + dz } else { dz };
                }
            }
        }
    }
}
