//! `attention`: products of small matrices, some queries at a time, so that scores never leave the cache.
//!
//! Forward, a task is a block of the queries of one head of one example; its scores exist for one strip of queries at a time.
//! Backward, a task is one head of one example, since the gradients of keys and values add up over its queries; the weights are
//! computed again there instead of kept. Keys are packed with `1 / √depth` in them, so that scores come out scaled.

use super::math::{exp, largest, sum, sum_pairs, vectorised};
use super::parallel::{scratch, tasks};
use super::product::{Left, Product, Right};
use super::tile::{Finish, ROWS, Results, WIDTH, packed_len, panel_of_columns, panel_of_rows};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::attention::Attention;
use std::ops::Range;

/// The most queries of a task forward: so many strips make up for packing keys and values.
const QUERIES: usize = 10 * ROWS;

/// The most scores that a task has backward at a time.
const SCORES: usize = 1 << 15;

/// Added to the scores of hidden keys.
const HIDDEN: f32 = -1e30;

/// The sizes of a call, and where its numbers are.
struct Heads<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    mask: Option<&'a [f32]>,
    heads: usize,
    /// Queries and keys of an example.
    queries: usize,
    keys: usize,
    /// Numbers of a token, and of a token in one head.
    width: usize,
    depth: usize,
}

/// One head of one example.
#[derive(Clone, Copy)]
struct Head {
    example: usize,
    /// Where its numbers begin in those of a token.
    column: usize,
}

impl<'a> Heads<'a> {
    fn new(op: &Attention, inputs: &'a [Input], shapes: &Shapes) -> Self {
        let [q, k, v] = [0, 1, 2].map(|i| inputs[i].numbers());
        let (queries, width, keys) = (shapes.inputs[0][1], shapes.inputs[0][2], shapes.inputs[1][1]);
        let mask = inputs.get(3).map(|m| m.numbers());
        Self { q, k, v, mask, heads: op.heads, queries, keys, width, depth: width / op.heads }
    }

    fn head(&self, i: usize) -> Head {
        Head { example: i / self.heads, column: i % self.heads * self.depth }
    }

    /// The queries' side of a head, from one of its queries on.
    fn of_queries(&self, x: &'a [f32], head: Head, first: usize) -> &'a [f32] {
        &x[(head.example * self.queries + first) * self.width + head.column..]
    }

    /// The keys' side of a head.
    fn of_keys(&self, x: &'a [f32], head: Head) -> &'a [f32] {
        &x[head.example * self.keys * self.width + head.column..]
    }

    /// `xᵀ` of the keys' side, `depth × keys`, in panels.
    fn pack_transposed(&self, x: &[f32], panels: &mut [f32]) {
        for (i, panel) in panels.chunks_exact_mut(self.depth * WIDTH).enumerate() {
            let first = i * WIDTH;
            panel_of_rows(panel, &x[first * self.width..], self.width, WIDTH.min(self.keys - first), self.depth);
        }
    }

    /// Scaled keys in panels.
    fn pack_keys(&self, head: Head, panels: &mut [f32]) {
        self.pack_transposed(self.of_keys(self.k, head), panels);
        let scale = 1.0 / (self.depth as f32).sqrt();
        vectorised(
            #[inline(always)]
            || panels.iter_mut().for_each(|k| *k *= scale),
        );
    }

    /// The weights of some queries, `queries × keys`, but for the factors of their rows, which come apart.
    fn weights(&self, head: Head, rows: Range<usize>, keys: &[f32], weights: &mut [f32], factors: &mut [f32]) {
        let left = Left::Rows { numbers: self.of_queries(self.q, head, rows.start), row: self.width };
        let right = Right::Packed(keys);
        let product = Product { rows: rows.len(), columns: self.keys, depth: self.depth, left, right };
        product.within(weights, self.keys, &Finish::default());
        let mask = self.mask.map(|m| &m[head.example * self.keys..][..self.keys]);
        vectorised(
            #[inline(always)]
            || {
                for (row, factor) in weights.chunks_exact_mut(self.keys).zip(factors) {
                    if let Some(mask) = mask {
                        row.iter_mut().zip(mask).for_each(|(w, m)| *w += (m - 1.0) * -HIDDEN);
                    }
                    let most = largest(row);
                    for w in row.iter_mut() {
                        *w = exp(*w - most);
                    }
                    *factor = 1.0 / sum(row, |w| w);
                    if let Some(mask) = mask {
                        row.iter_mut().zip(mask).for_each(|(w, m)| *w *= m);
                    }
                }
            },
        );
    }

    /// Results of a block of queries of a head.
    fn gather(&self, head: Head, block: Range<usize>, y: Results) {
        let (keys, depth) = (self.keys, self.depth);
        let sizes = [packed_len(keys, depth), packed_len(depth, keys), ROWS * keys, ROWS * depth];
        scratch(sizes.iter().sum(), |own| {
            let [packed_keys, packed_values, weights, sums] = split(own, sizes);
            self.pack_keys(head, packed_keys);
            let values = self.of_keys(self.v, head);
            for (i, panel) in packed_values.chunks_exact_mut(keys * WIDTH).enumerate() {
                let first = i * WIDTH;
                panel_of_columns(panel, &values[first..], self.width, WIDTH.min(depth - first), keys);
            }
            for rows in strips(block, ROWS) {
                let (weights, mut factors) = (&mut weights[..rows.len() * keys], [0.0; ROWS]);
                self.weights(head, rows.clone(), packed_keys, weights, &mut factors[..rows.len()]);
                let left = Left::Rows { numbers: weights, row: keys };
                let right = Right::Packed(packed_values);
                let product = Product { rows: rows.len(), columns: depth, depth: keys, left, right };
                product.within(sums, depth, &Finish::default());
                for ((row, sums), factor) in rows.zip(sums.chunks_exact(depth)).zip(factors) {
                    let start = (head.example * self.queries + row) * self.width + head.column;
                    // SAFETY: no other task has this query of this head.
                    let y = unsafe { y.part(start, depth) };
                    y.iter_mut().zip(sums).for_each(|(y, s)| *y = factor * s);
                }
            }
        });
    }

    /// The gradients of one head of an example.
    fn pull(&self, dy: &[f32], head: Head, gradients: &[Option<(Results, bool)>; 3]) {
        let (keys, depth, width) = (self.keys, self.depth, self.width);
        let scale = 1.0 / (depth as f32).sqrt();
        let most = (SCORES / keys / ROWS).clamp(1, 8) * ROWS;
        let sizes = [most * keys, most * keys, most, keys * depth, keys * depth, most * depth];
        let panels = packed_len(keys, depth);
        let whole = sizes.iter().sum::<usize>() + 2 * panels;
        scratch(whole, |own| {
            let (own, packed) = own.split_at_mut(whole - 2 * panels);
            let (packed_keys, packed_values) = packed.split_at_mut(panels);
            let [weights, slopes, factors, dk, dv, dq] = split(own, sizes);
            self.pack_keys(head, packed_keys);
            self.pack_transposed(self.of_keys(self.v, head), packed_values);
            for rows in strips(0..self.queries, most) {
                let n = rows.len();
                let (weights, slopes, factors) = (&mut weights[..n * keys], &mut slopes[..n * keys], &mut factors[..n]);
                let finish = Finish { add: rows.start > 0, ..Finish::default() };
                self.weights(head, rows.clone(), packed_keys, weights, factors);
                let dy = Left::Rows { numbers: self.of_queries(dy, head, rows.start), row: width };
                let values = Right::Packed(packed_values);
                let product = Product { rows: n, columns: keys, depth, left: dy, right: values };
                product.within(slopes, keys, &Finish::default());
                score_slopes(weights, slopes, factors, keys, scale);
                // Sums over these queries, for every key.
                let over = |left: &[f32], right: &[f32], into: &mut [f32]| {
                    let left = Left::Columns { numbers: left, row: keys };
                    let right = Right::Rows { numbers: right, row: width };
                    Product { rows: keys, columns: depth, depth: n, left, right }.within(into, depth, &finish);
                };
                if gradients[2].is_some() {
                    let Left::Rows { numbers, .. } = dy else { unreachable!("made above") };
                    over(weights, numbers, dv);
                }
                if gradients[1].is_some() {
                    over(slopes, self.of_queries(self.q, head, rows.start), dk);
                }
                if let Some(place) = gradients[0] {
                    let left = Left::Rows { numbers: slopes, row: keys };
                    let right = Right::Rows { numbers: self.of_keys(self.k, head), row: width };
                    let product = Product { rows: n, columns: depth, depth: keys, left, right };
                    product.within(dq, depth, &Finish::default());
                    self.leave(place, head, head.example * self.queries + rows.start, &dq[..n * depth]);
                }
            }
            for (place, own) in [(gradients[1], dk), (gradients[2], dv)] {
                if let Some(place) = place {
                    self.leave(place, head, head.example * keys, own);
                }
            }
        });
    }

    /// Writes or adds rows of a head where they belong.
    fn leave(&self, (place, add): (Results, bool), head: Head, first: usize, own: &[f32]) {
        for (row, own) in own.chunks_exact(self.depth).enumerate() {
            // SAFETY: no other task has these tokens of this head.
            let place = unsafe { place.part((first + row) * self.width + head.column, self.depth) };
            if add {
                place.iter_mut().zip(own).for_each(|(g, d)| *g += d);
            } else {
                place.copy_from_slice(own);
            }
        }
    }
}

/// Makes weights of what they are but for their factors, and gradients of scores of those of weights, times `scale`:
/// `ds = w · (dw − Σ w · dw)`.
fn score_slopes(weights: &mut [f32], slopes: &mut [f32], factors: &[f32], keys: usize, scale: f32) {
    vectorised(
        #[inline(always)]
        || {
            let rows = slopes.chunks_exact_mut(keys).zip(weights.chunks_exact_mut(keys)).zip(factors);
            for ((dw, w), &factor) in rows {
                w.iter_mut().for_each(|w| *w *= factor);
                let mean = sum_pairs(dw, w, |d, w| d * w);
                dw.iter_mut().zip(w).for_each(|(d, w)| *d = scale * (*w * (*d - mean)));
            }
        },
    );
}

/// Parts of a buffer, one for each size.
fn split<const N: usize>(mut buffer: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    sizes.map(|size| {
        let (own, rest) = std::mem::take(&mut buffer).split_at_mut(size);
        buffer = rest;
        own
    })
}

/// About equal parts of a range, each of at most so many.
fn strips(range: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let (start, len) = (range.start, range.len());
    let count = len.div_ceil(most);
    (0..count).map(move |i| start + len * i / count..start + len * (i + 1) / count)
}

/// Inputs: q, k, v, and perhaps a mask.
impl Kernel for Attention {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let heads = Heads::new(self, inputs, shapes);
        let blocks = heads.queries.div_ceil(QUERIES);
        let count = shapes.inputs[0][0] * self.heads * blocks;
        let work = heads.queries * heads.keys * heads.depth * 2 / blocks.max(1);
        let y = Results::new(output);
        tasks(count, work, |task| {
            let (head, block) = (heads.head(task / blocks), task % blocks);
            heads.gather(head, heads.queries * block / blocks..heads.queries * (block + 1) / blocks, y);
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let heads = Heads::new(self, call.inputs, call.shapes);
        let [dq, dk, dv, rest @ ..] = gradients else { panic!("bug: attention has three inputs or four") };
        let places = [dq, dk, dv].map(|g| g.as_mut().map(|g| (Results::new(g.data), g.add)));
        let work = heads.queries * heads.keys * heads.depth * 5;
        tasks(call.shapes.inputs[0][0] * self.heads, work, |task| {
            heads.pull(call.cotangent, heads.head(task), &places);
        });
        // The mask is data.
        if let [Some(mask)] = rest {
            mask.set(|_| 0.0);
        }
    }
}
