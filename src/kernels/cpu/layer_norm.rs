//! `layer_norm`: each row is read from memory once; its moments and its gradient are computed while it is in the cache.

use super::math::{sum, sum_pairs, vectorised};
use super::parallel::{scratch, tasks};
use super::rows::blocks;
use super::tile::Results;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::layer_norm::LayerNorm;

/// The gradients of gamma and beta are summed over this many parts of the rows, and then the parts in order.
const PARTS: usize = 16;

/// Inputs: x, gamma, beta.
impl Kernel for LayerNorm {
    fn reads(&self, i: usize) -> bool {
        i < 2
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let [x, gamma, beta] = [0, 1, 2].map(|i| inputs[i].numbers());
        let (width, epsilon) = (gamma.len(), self.epsilon as f32);
        blocks(output, width, |first, block| {
            vectorised(
                #[inline(always)]
                || {
                    for (y, x) in block.chunks_exact_mut(width).zip(x[first * width..].chunks_exact(width)) {
                        let (mean, inverse) = moments(x, epsilon);
                        for (((y, x), g), b) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                            *y = (x - mean) * inverse * g + b;
                        }
                    }
                },
            );
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let [x, gamma] = [0, 1].map(|i| call.inputs[i].numbers());
        let (width, epsilon) = (gamma.len(), self.epsilon as f32);
        let part = (x.len() / width).div_ceil(PARTS).max(1) * width;
        let [dx, dg, db] = gradients else { panic!("bug: layer norm has three inputs") };
        let add = dx.as_ref().is_some_and(|dx| dx.add);
        let dx = dx.as_mut().map(|dx| Results::new(dx.data));
        let count = x.len().div_ceil(part);
        // For each part of the rows, its share of the gradients of gamma and beta.
        scratch(count * 2 * width, |shares| {
            shares.fill(0.0);
            let all = Results::new(shares);
            tasks(count, part * 8, |i| {
                let rows = i * part..(i * part + part).min(x.len());
                // SAFETY: every part has its own share.
                let share = unsafe { all.part(i * 2 * width, 2 * width) };
                // SAFETY: every part has its own rows.
                let dx = dx.map(|dx| unsafe { dx.part(rows.start, rows.len()) });
                let (dg, db) = share.split_at_mut(width);
                Rows { x: &x[rows.clone()], dy: &call.cotangent[rows], gamma, epsilon }.pull(dg, db, dx, add);
            });
            for (gradient, offset) in [(dg, 0), (db, width)] {
                let Some(gradient) = gradient else { continue };
                if !gradient.add {
                    gradient.data.fill(0.0);
                }
                for share in shares.chunks_exact(2 * width) {
                    gradient.data.iter_mut().zip(&share[offset..]).for_each(|(g, s)| *g += s);
                }
            }
        });
    }
}

/// Some rows of a call.
struct Rows<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    gamma: &'a [f32],
    epsilon: f32,
}

impl Rows<'_> {
    /// Adds to the gradients of gamma and beta, and leaves that of x.
    ///
    /// With `n` the normal form of x and `u = dy · γ`, `dx = (u − mean(u) − n · mean(u · n)) / √(var + ε)`.
    fn pull(&self, dg: &mut [f32], db: &mut [f32], dx: Option<&mut [f32]>, add: bool) {
        let width = self.gamma.len();
        scratch(2 * width, |own| {
            let (normal, scaled) = own.split_at_mut(width);
            self.pull_by(normal, scaled, dg, db, dx, add);
        });
    }

    /// The same, with two rows of memory for the normal form and `u`.
    fn pull_by(
        &self,
        normal: &mut [f32],
        scaled: &mut [f32],
        dg: &mut [f32],
        db: &mut [f32],
        mut dx: Option<&mut [f32]>,
        add: bool,
    ) {
        let width = self.gamma.len();
        vectorised(
            #[inline(always)]
            || {
                for (row, (x, dy)) in self.x.chunks_exact(width).zip(self.dy.chunks_exact(width)).enumerate() {
                    let (mean, inverse) = moments(x, self.epsilon);
                    normal.iter_mut().zip(x).for_each(|(n, x)| *n = (x - mean) * inverse);
                    dg.iter_mut().zip(dy).zip(&*normal).for_each(|((g, d), n)| *g += d * n);
                    db.iter_mut().zip(dy).for_each(|(g, d)| *g += d);
                    let Some(dx) = &mut dx else { continue };
                    scaled.iter_mut().zip(dy).zip(self.gamma).for_each(|((u, d), g)| *u = d * g);
                    let mean_u = sum(scaled, |u| u) / width as f32;
                    let mean_un = sum_pairs(scaled, normal, |u, n| u * n) / width as f32;
                    let own = dx[row * width..][..width].iter_mut().zip(&*scaled).zip(&*normal);
                    if add {
                        own.for_each(|((g, u), n)| *g += inverse * (u - mean_u - n * mean_un));
                    } else {
                        own.for_each(|((g, u), n)| *g = inverse * (u - mean_u - n * mean_un));
                    }
                }
            },
        );
    }
}

/// Mean and 1 / √(variance + ε) of a row.
#[inline(always)]
pub fn moments(x: &[f32], epsilon: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum(x, |x| x) / n;
    let var = sum(x, |x| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (var + epsilon).sqrt())
}
