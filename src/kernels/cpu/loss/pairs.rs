//! Losses that look at more than one pair of numbers at a time: `cosine` at rows, `silog` at all of a batch.

use super::labelled;
use crate::kernels::cpu::math::sum_pairs;
use crate::kernels::cpu::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::cosine::Cosine;
use crate::ops::silog::Silog;

/// Below this length a vector counts as having it.
const SHORTEST: f32 = 1e-8;

/// The inverse length of a vector, and whether it is that of the shortest.
fn inverse(x: &[f32]) -> (f32, bool) {
    let length = sum_pairs(x, x, |a, b| a * b).sqrt();
    if length < SHORTEST { (1.0 / SHORTEST, true) } else { (1.0 / length, false) }
}

/// Inputs: prediction, target, presence.
impl Kernel for Cosine {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let [x, y, present] = [0, 1, 2].map(|i| inputs[i].numbers());
        let (mut sum, mut rows) = (0.0f64, 0);
        for range in labelled(present, x.len()) {
            let (x, y) = (&x[range.clone()], &y[range]);
            sum += f64::from(sum_pairs(x, y, |a, b| a * b) * inverse(x).0 * inverse(y).0);
            rows += 1;
        }
        output[0] = if rows == 0 { 0.0 } else { (1.0 - sum / f64::from(rows)) as f32 };
    }

    /// With the inverse lengths f and g, the cosine's gradient is `f · g · (y − f² · x · Σ x · y)`.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let [x, y, present] = [0, 1, 2].map(|i| call.inputs[i].numbers());
        if !dx.add {
            dx.data.fill(0.0);
        }
        let scale = -call.cotangent[0] / labelled(present, x.len()).count().max(1) as f32;
        for range in labelled(present, x.len()) {
            let (x, y, dx) = (&x[range.clone()], &y[range.clone()], &mut dx.data[range]);
            let ((f, short), (g, _)) = (inverse(x), inverse(y));
            let along = if short { 0.0 } else { f * f * sum_pairs(x, y, |a, b| a * b) };
            let all = dx.iter_mut().zip(x).zip(y);
            all.for_each(|((dx, x), y)| *dx += scale * f * g * (y - along * x));
        }
    }
}

/// The smallest prediction whose logarithm is taken.
const SMALLEST: f32 = 1e-6;

/// The elements that count, each with the difference of its logarithms.
fn differences<'a>(inputs: &[Input<'a>]) -> impl Iterator<Item = (usize, f32)> + 'a {
    let [x, y, present] = [0, 1, 2].map(|i| inputs[i].numbers());
    let valid = labelled(present, x.len()).flatten().filter(|&i| y[i] > 0.0);
    valid.map(|i| (i, if x[i] < SMALLEST { SMALLEST.ln() } else { x[i].ln() } - y[i].ln()))
}

/// How many elements count, and the means of their differences and of the squares.
fn means(inputs: &[Input]) -> (usize, f64, f64) {
    let (mut n, mut sum, mut squares) = (0, 0.0, 0.0);
    for (_, d) in differences(inputs) {
        let d = f64::from(d);
        (n, sum, squares) = (n + 1, sum + d, squares + d * d);
    }
    let count = n.max(1) as f64;
    (n, sum / count, squares / count)
}

/// Inputs: prediction, target, presence.
impl Kernel for Silog {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let (_, mean, squares) = means(inputs);
        output[0] = (squares - self.lambda * mean * mean) as f32;
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let (n, mean, _) = means(call.inputs);
        if !dx.add {
            dx.data.fill(0.0);
        }
        let (scale, centre) = (2.0 * call.cotangent[0] / n.max(1) as f32, (self.lambda * mean) as f32);
        let x = call.inputs[0].numbers();
        for (i, d) in differences(call.inputs) {
            if x[i] < SMALLEST {
                continue;
            }
            dx.data[i] += scale * (d - centre) / x[i];
        }
    }
}
