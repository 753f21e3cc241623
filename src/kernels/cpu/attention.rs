//! `attention`: products of small matrices, a strip of queries at a time, so that scores never leave the cache.
//!
//! Forward, a task is a strip of the queries of one example, with all heads. Backward, it is one head of one example, since the
//! gradients of keys and values add up over its queries. The weights are computed again there instead of kept.

use super::gemm::{Matrix, Target, product_within};
use super::math::{exp, largest, sum, sum_pairs, vectorised};
use super::rows::blocks;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::attention::Attention;
use rayon::prelude::*;

/// Queries that are worked on together.
const STRIP: usize = 32;

/// Added to the scores of hidden keys.
const HIDDEN: f32 = -1e30;

/// The sizes of a call, and where its numbers are.
struct Heads<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    mask: Option<&'a [f32]>,
    /// Queries and keys of an example.
    queries: usize,
    keys: usize,
    /// Numbers of a token, and of a token in one head.
    width: usize,
    depth: usize,
}

impl<'a> Heads<'a> {
    fn new(op: &Attention, inputs: &'a [Input], shapes: &Shapes) -> Self {
        let [q, k, v] = [0, 1, 2].map(|i| inputs[i].numbers());
        let (queries, width, keys) = (shapes.inputs[0][1], shapes.inputs[0][2], shapes.inputs[1][1]);
        let mask = inputs.get(3).map(|m| m.numbers());
        Self { q, k, v, mask, queries, keys, width, depth: width / op.heads }
    }

    /// Rows of a head of an example, from a value whose examples have `tokens` tokens.
    fn rows(
        &self,
        x: &'a [f32],
        example: usize,
        tokens: usize,
        head: usize,
        rows: std::ops::Range<usize>,
    ) -> Matrix<'a> {
        let start = (example * tokens + rows.start) * self.width + head * self.depth;
        Matrix::strided(&x[start..], rows.len(), self.depth, self.width)
    }

    fn all(&self, x: &'a [f32], example: usize, head: usize) -> Matrix<'a> {
        self.rows(x, example, self.keys, head, 0..self.keys)
    }

    /// The weights of some queries in a head, `queries × keys`.
    fn weights(&self, example: usize, head: usize, rows: std::ops::Range<usize>, weights: &mut [f32]) {
        let q = self.rows(self.q, example, self.queries, head, rows);
        let scale = 1.0 / (self.depth as f32).sqrt();
        product_within(q, self.all(self.k, example, head).t(), scale, Target::whole(weights, self.keys));
        let mask = self.mask.map(|m| &m[example * self.keys..][..self.keys]);
        vectorised(
            #[inline(always)]
            || {
                for row in weights.chunks_exact_mut(self.keys) {
                    if let Some(mask) = mask {
                        row.iter_mut().zip(mask).for_each(|(w, m)| *w += (m - 1.0) * -HIDDEN);
                    }
                    let most = largest(row);
                    for w in row.iter_mut() {
                        *w = exp(*w - most);
                    }
                    let part = 1.0 / sum(row, |w| w);
                    match mask {
                        Some(mask) => row.iter_mut().zip(mask).for_each(|(w, m)| *w *= part * m),
                        None => row.iter_mut().for_each(|w| *w *= part),
                    }
                }
            },
        );
    }

    /// The gradients of one head of an example, packed: queries, keys, values.
    fn pull(&self, dy: &[f32], example: usize, head: usize, gradients: &mut [f32]) {
        let scale = 1.0 / (self.depth as f32).sqrt();
        let (dq, rest) = gradients.split_at_mut(self.queries * self.depth);
        let (dk, dv) = rest.split_at_mut(self.keys * self.depth);
        let mut weights = vec![0.0; STRIP.min(self.queries) * self.keys];
        let mut slopes = weights.clone();
        for start in (0..self.queries).step_by(STRIP) {
            let rows = start..(start + STRIP).min(self.queries);
            let n = rows.len() * self.keys;
            let (weights, slopes) = (&mut weights[..n], &mut slopes[..n]);
            let own = (example * self.queries + start) * self.width + head * self.depth;
            let dy = Matrix::strided(&dy[own..], rows.len(), self.depth, self.width);
            self.weights(example, head, rows.clone(), weights);
            product_within(dy, self.all(self.v, example, head).t(), 1.0, Target::whole(slopes, self.keys));
            let shape = |x: &'a [f32]| self.rows(x, example, self.queries, head, rows.clone());
            let add = start > 0;
            let of_weights = Matrix::new(weights, rows.len(), self.keys);
            product_within(of_weights.t(), dy, 1.0, Target { add, ..Target::whole(dv, self.depth) });
            // The gradient of the scores: w · (dw − Σ w · dw).
            vectorised(
                #[inline(always)]
                || {
                    for (dw, w) in slopes.chunks_exact_mut(self.keys).zip(weights.chunks_exact(self.keys)) {
                        let mean = sum_pairs(dw, w, |d, w| d * w);
                        dw.iter_mut().zip(w).for_each(|(d, w)| *d = w * (*d - mean));
                    }
                },
            );
            let ds = Matrix::new(slopes, rows.len(), self.keys);
            let dq = &mut dq[start * self.depth..][..rows.len() * self.depth];
            product_within(ds, self.all(self.k, example, head), scale, Target::whole(dq, self.depth));
            product_within(ds.t(), shape(self.q), scale, Target { add, ..Target::whole(dk, self.depth) });
        }
    }
}

/// Inputs: q, k, v, and perhaps a mask.
impl Kernel for Attention {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let heads = Heads::new(self, inputs, shapes);
        let (queries, width, depth) = (heads.queries, heads.width, heads.depth);
        let strip = |example: usize, start: usize, y: &mut [f32]| {
            let rows = start..start + y.len() / width;
            let mut weights = vec![0.0; rows.len() * heads.keys];
            for head in 0..self.heads {
                heads.weights(example, head, rows.clone(), &mut weights);
                let weights = Matrix::new(&weights, rows.len(), heads.keys);
                let y = Target { data: &mut y[head * depth..], stride: width, add: false };
                product_within(weights, heads.all(heads.v, example, head), 1.0, y);
            }
        };
        output.par_chunks_mut(queries * width).enumerate().for_each(|(example, y)| {
            y.par_chunks_mut(STRIP * width).enumerate().for_each(|(i, y)| strip(example, i * STRIP, y));
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let heads = Heads::new(self, call.inputs, call.shapes);
        let (width, depth) = (heads.width, heads.depth);
        let lengths = [heads.queries, heads.keys, heads.keys];
        let each = lengths.iter().sum::<usize>() * depth;
        let batch = call.shapes.inputs[0][0];
        let mut packed = vec![0.0; batch * self.heads * each];
        packed.par_chunks_mut(each).enumerate().for_each(|(i, gradients)| {
            heads.pull(call.cotangent, i / self.heads, i % self.heads, gradients);
        });
        let mut offset = 0;
        for (gradient, tokens) in gradients.iter_mut().zip(lengths) {
            let start = offset;
            offset += tokens * depth;
            let Some(gradient) = gradient else { continue };
            let add = gradient.add;
            blocks(gradient.data, width, |first, block| {
                for (row, place) in block.chunks_exact_mut(width).enumerate() {
                    let (example, token) = ((first + row) / tokens, (first + row) % tokens);
                    for (head, place) in place.chunks_exact_mut(depth).enumerate() {
                        let own = &packed[(example * self.heads + head) * each + start + token * depth..][..depth];
                        if add {
                            place.iter_mut().zip(own).for_each(|(g, d)| *g += d);
                        } else {
                            place.copy_from_slice(own);
                        }
                    }
                }
            });
        }
        // The mask is data.
        if let Some(Some(mask)) = gradients.get_mut(3) {
            mask.set(|_| 0.0);
        }
    }
}
