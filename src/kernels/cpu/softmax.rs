//! `softmax`, and the sums of powers that losses over classes need.
//!
//! A value of `[outer, n, inner]` has its n numbers side by side when `inner` is 1, and `inner` apart otherwise; then vectors run
//! over `inner`.

use super::math::{exp, largest, sum, sum_pairs, vectorised};
use super::parallel::{Kept, kept};
use super::rows::blocks;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::softmax::Softmax;

/// The length of an axis, and the numbers behind it.
fn axis(shape: &[usize], axis: usize) -> (usize, usize) {
    (shape[axis], shape[axis + 1..].iter().product())
}

impl Kernel for Softmax {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn reads_output(&self) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (n, inner) = axis(&shapes.output, self.axis);
        let x = inputs[0].numbers();
        if inner == 1 {
            return blocks(output, n, |first, block| {
                vectorised(
                    #[inline(always)]
                    || {
                        for (y, x) in block.chunks_exact_mut(n).zip(x[first * n..].chunks_exact(n)) {
                            let most = largest(x);
                            for (y, x) in y.iter_mut().zip(x) {
                                *y = exp(x - most);
                            }
                            let part = 1.0 / sum(y, |y| y);
                            y.iter_mut().for_each(|y| *y *= part);
                        }
                    },
                );
            });
        }
        let sums = Sums::new(x, n, inner);
        sums.probabilities(&vec![1.0; sums.sums.len()], &mut Gradient { data: output, add: false });
    }

    /// `dx = y · (dy − Σ y · dy)`.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let (n, inner) = axis(&call.shapes.output, self.axis);
        let add = dx.add;
        if inner == 1 {
            return blocks(dx.data, n, |first, block| {
                vectorised(
                    #[inline(always)]
                    || {
                        let rows =
                            call.output[first * n..].chunks_exact(n).zip(call.cotangent[first * n..].chunks_exact(n));
                        for (dx, (y, dy)) in block.chunks_exact_mut(n).zip(rows) {
                            let mean = sum_pairs(y, dy, |y, d| y * d);
                            for ((dx, y), d) in dx.iter_mut().zip(y).zip(dy) {
                                let slope = y * (d - mean);
                                *dx = if add { *dx + slope } else { slope };
                            }
                        }
                    },
                );
            });
        }
        blocks(dx.data, n * inner, |first, block| {
            let range = first * n * inner..first * n * inner + block.len();
            let (y, dy) = (&call.output[range.clone()], &call.cotangent[range]);
            let examples = y.chunks_exact(n * inner).zip(dy.chunks_exact(n * inner));
            for (dx, (y, dy)) in block.chunks_exact_mut(n * inner).zip(examples) {
                let mut means = vec![0.0; inner];
                for (y, dy) in y.chunks_exact(inner).zip(dy.chunks_exact(inner)) {
                    means.iter_mut().zip(y).zip(dy).for_each(|((s, y), d)| *s += y * d);
                }
                Gradient { data: dx, add }.set(|i| y[i] * (dy[i] - means[i % inner]));
            }
        });
    }
}

/// What a softmax over the middle axis of `x`, `[outer, n, inner]`, divides by.
pub struct Sums<'a> {
    x: &'a [f32],
    n: usize,
    inner: usize,
    /// The largest number along the axis, and `Σ e^(x − largest)`: each of `[outer, inner]`.
    pub most: Kept,
    pub sums: Kept,
}

impl<'a> Sums<'a> {
    pub fn new(x: &'a [f32], n: usize, inner: usize) -> Self {
        let mut sums = kept(x.len() / n);
        let mut most = kept(x.len() / n);
        blocks(&mut most, inner, |first, most| {
            let x = &x[first * n * inner..][..most.len() * n];
            vectorised(
                #[inline(always)]
                || all_largest(most, x, n, inner),
            );
        });
        blocks(&mut sums, inner, |first, sums| {
            let (x, most) = (&x[first * n * inner..][..sums.len() * n], &most[first * inner..][..sums.len()]);
            vectorised(
                #[inline(always)]
                || all_sums(sums, x, most, n, inner),
            );
        });
        Self { x, n, inner, most, sums }
    }

    /// `−ln p` of the number at `index` in x, of which `element` are the sums.
    pub fn surprise(&self, index: usize, element: usize) -> f32 {
        self.most[element] - self.x[index] + self.sums[element].ln()
    }

    /// Probabilities times the factor of their element; 0 where the factor is, whatever stands in x.
    pub fn probabilities(&self, factors: &[f32], out: &mut Gradient) {
        let (n, inner, add) = (self.n, self.inner, out.add);
        let mut parts = kept(factors.len());
        for ((part, f), s) in parts.iter_mut().zip(factors).zip(self.sums.iter()) {
            *part = if *f == 0.0 { 0.0 } else { f / s };
        }
        blocks(out.data, n * inner, |first, block| {
            let x = &self.x[first * n * inner..][..block.len()];
            let (most, parts) = (&self.most[first * inner..], &parts[first * inner..]);
            vectorised(
                #[inline(always)]
                || powers(block, add, x, (most, parts), n, inner),
            );
        });
    }
}

#[inline(always)]
fn all_largest(most: &mut [f32], x: &[f32], n: usize, inner: usize) {
    if inner == 1 {
        most.iter_mut().zip(x.chunks_exact(n)).for_each(|(m, x)| *m = largest(x));
        return;
    }
    most.fill(f32::NEG_INFINITY);
    for (row, x) in x.chunks_exact(inner).enumerate() {
        let most = &mut most[row / n * inner..][..inner];
        most.iter_mut().zip(x).for_each(|(m, &x)| *m = if x > *m { x } else { *m });
    }
}

#[inline(always)]
fn all_sums(sums: &mut [f32], x: &[f32], most: &[f32], n: usize, inner: usize) {
    if inner == 1 {
        let rows = x.chunks_exact(n).zip(most);
        for (s, (x, m)) in sums.iter_mut().zip(rows) {
            *s = sum(x, |x| exp(x - m));
        }
        return;
    }
    sums.fill(0.0);
    for (row, x) in x.chunks_exact(inner).enumerate() {
        let range = row / n * inner..row / n * inner + inner;
        let most = &most[range.clone()];
        for ((s, x), m) in sums[range].iter_mut().zip(x).zip(most) {
            *s += exp(x - m);
        }
    }
}

/// `part · e^(x − most)`, with both of the element that a number belongs to.
#[inline(always)]
fn powers(y: &mut [f32], add: bool, x: &[f32], (most, parts): (&[f32], &[f32]), n: usize, inner: usize) {
    if inner == 1 {
        let elements = most.iter().zip(parts);
        for ((y, x), (m, p)) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)).zip(elements) {
            if add {
                for (y, x) in y.iter_mut().zip(x) {
                    *y += power(*x, *m, *p);
                }
            } else {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = power(*x, *m, *p);
                }
            }
        }
        return;
    }
    for (row, (y, x)) in y.chunks_exact_mut(inner).zip(x.chunks_exact(inner)).enumerate() {
        let range = row / n * inner..row / n * inner + inner;
        let each = y.iter_mut().zip(x).zip(&most[range.clone()]).zip(&parts[range]);
        if add {
            for (((y, x), m), p) in each {
                *y += power(*x, *m, *p);
            }
        } else {
            for (((y, x), m), p) in each {
                *y = power(*x, *m, *p);
            }
        }
    }
}

#[inline(always)]
fn power(x: f32, most: f32, part: f32) -> f32 {
    if part == 0.0 { 0.0 } else { part * exp(x - most) }
}
