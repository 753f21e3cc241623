//! Sequences: `embedding`, `present`, `masked_mean`, and `normalize_l2` of a vector.

use super::math::{sum, sum_pairs, vectorised};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::embedding::Embedding;
use crate::ops::masked_mean::MaskedMean;
use crate::ops::normalize_l2::NormalizeL2;
use crate::ops::present::Present;

/// The rows of a table that indices name; `None` where an index is outside of the table.
fn named(ids: &[i64], width: usize, numbers: usize) -> impl Iterator<Item = Option<std::ops::Range<usize>>> {
    let range = move |&id: &i64| {
        let start = usize::try_from(id).ok()?.checked_mul(width)?;
        (start < numbers).then(|| start..start + width)
    };
    ids.iter().map(range)
}

/// Inputs: ids, table.
impl Kernel for Embedding {
    fn reads(&self, i: usize) -> bool {
        i == 0
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (ids, table, width) = (inputs[0].ids(), inputs[1].numbers(), shapes.inputs[1][1]);
        for (y, range) in output.chunks_exact_mut(width).zip(named(ids, width, table.len())) {
            match range {
                Some(range) => y.copy_from_slice(&table[range]),
                None => y.fill(0.0),
            }
        }
    }

    /// The rows of a batch are added in their order.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dw) = &mut gradients[1] else { return };
        if !dw.add {
            dw.data.fill(0.0);
        }
        let width = call.shapes.inputs[1][1];
        let rows = named(call.inputs[0].ids(), width, dw.data.len());
        for (dy, range) in call.cotangent.chunks_exact(width).zip(rows) {
            if let Some(range) = range {
                dw.data[range].iter_mut().zip(dy).for_each(|(g, d)| *g += d);
            }
        }
    }
}

impl Kernel for Present {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let mask = |&id: &i64| if id == self.absent { 0.0 } else { 1.0 };
        output.iter_mut().zip(inputs[0].ids()).for_each(|(y, id)| *y = mask(id));
    }

    fn pullback(&self, _: &Backward, _: &mut [Option<Gradient>]) {}
}

/// The part that each vector of a sequence has in its mean.
fn shares(mask: &[f32]) -> impl Iterator<Item = f32> {
    let total: f32 = mask.iter().sum();
    mask.iter().map(move |m| if total > 0.0 { m / total } else { 0.0 })
}

/// Inputs: x, mask.
impl Kernel for MaskedMean {
    fn reads(&self, i: usize) -> bool {
        i == 1
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, mask) = (inputs[0].numbers(), inputs[1].numbers());
        let (tokens, width) = (shapes.inputs[0][1], shapes.inputs[0][2]);
        output.fill(0.0);
        for ((y, x), mask) in
            output.chunks_exact_mut(width).zip(x.chunks_exact(tokens * width)).zip(mask.chunks_exact(tokens))
        {
            for (x, share) in x.chunks_exact(width).zip(shares(mask)) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y += x * share);
            }
        }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let (tokens, width) = (call.shapes.inputs[0][1], call.shapes.inputs[0][2]);
        let parts = call.inputs[1].numbers().chunks_exact(tokens).flat_map(shares);
        let add = dx.add;
        for (row, (dx, share)) in dx.data.chunks_exact_mut(width).zip(parts).enumerate() {
            let dy = &call.cotangent[row / tokens * width..][..width];
            Gradient { data: dx, add }.set(|i| dy[i] * share);
        }
    }
}

/// The factor that brings a vector to length 1, and whether it is ε that it was divided by.
fn factor(x: &[f32], epsilon: f32) -> (f32, bool) {
    let length = vectorised(
        #[inline(always)]
        || sum(x, |x| x * x),
    )
    .sqrt();
    if length < epsilon { (1.0 / epsilon, true) } else { (1.0 / length, false) }
}

impl Kernel for NormalizeL2 {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let width = shapes.output[1];
        for (y, x) in output.chunks_exact_mut(width).zip(inputs[0].numbers().chunks_exact(width)) {
            let (factor, _) = factor(x, self.epsilon as f32);
            y.iter_mut().zip(x).for_each(|(y, x)| *y = x * factor);
        }
    }

    /// `dx = f · dy − f³ · x · Σ x · dy` with the factor `f`, and `f · dy` where the vector is short.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let width = call.shapes.output[1];
        let rows = call.inputs[0].numbers().chunks_exact(width).zip(call.cotangent.chunks_exact(width));
        let add = dx.add;
        for ((x, dy), dx) in rows.zip(dx.data.chunks_exact_mut(width)) {
            let (factor, short) = factor(x, self.epsilon as f32);
            let along = if short { 0.0 } else { factor * factor * factor * sum_pairs(x, dy, |x, d| x * d) };
            Gradient { data: dx, add }.set(|i| factor * dy[i] - along * x[i]);
        }
    }
}
