//! Losses that look at more than one pair of numbers at a time: `cosine` at vectors, `silog` at all of a batch.

use super::labelled;
use crate::kernels::cpu::math::sum_pairs;
use crate::kernels::cpu::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::cosine::Cosine;
use crate::ops::silog::Silog;

/// Below this length a vector counts as having it.
const SHORTEST: f32 = 1e-8;

/// A vector along the channels: of a row, a token or a pixel.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    stride: usize,
    width: usize,
}

impl Place {
    fn indices(self) -> impl Iterator<Item = usize> {
        (0..self.width).map(move |k| self.start + k * self.stride)
    }

    /// `Σ x · y`.
    fn dot(self, x: &[f32], y: &[f32]) -> f32 {
        if self.stride == 1 {
            let range = self.start..self.start + self.width;
            return sum_pairs(&x[range.clone()], &y[range], |a, b| a * b);
        }
        self.indices().map(|i| f64::from(x[i]) * f64::from(y[i])).sum::<f64>() as f32
    }

    /// The inverse length of a vector, and whether it is that of the shortest.
    fn inverse(self, x: &[f32]) -> (f32, bool) {
        let length = self.dot(x, x).sqrt();
        if length < SHORTEST { (1.0 / SHORTEST, true) } else { (1.0 / length, false) }
    }
}

/// The vectors that count: of a row with a label, with every true number there.
fn places<'a>(y: &'a [f32], present: &'a [f32], dims: &[usize]) -> impl Iterator<Item = Place> + 'a {
    let (width, stride) = match *dims {
        [_, channels, h, w] => (channels, h * w),
        [.., width] if dims.len() > 1 => (width, 1),
        _ => (1, 1),
    };
    let vectors = y.len() / present.len().max(1) / width;
    let of_row = move |row: usize| {
        (0..vectors).map(move |v| {
            let start = row * vectors * width + v / stride * stride * width + v % stride;
            Place { start, stride, width }
        })
    };
    let rows = present.iter().enumerate().filter(|(_, p)| **p != 0.0).map(|(row, _)| row);
    rows.flat_map(of_row).filter(|place| place.indices().all(|i| !y[i].is_nan()))
}

/// Inputs: prediction, target, presence.
impl Kernel for Cosine {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let [x, y, present] = [0, 1, 2].map(|i| inputs[i].numbers());
        let (mut sum, mut count) = (0.0f64, 0u32);
        for place in places(y, present, &shapes.inputs[0]) {
            sum += f64::from(place.dot(x, y) * place.inverse(x).0 * place.inverse(y).0);
            count += 1;
        }
        output[0] = if count == 0 { 0.0 } else { (1.0 - sum / f64::from(count)) as f32 };
    }

    /// With the inverse lengths f and g, the cosine's gradient is `f · g · (y − f² · x · Σ x · y)`.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let [x, y, present] = [0, 1, 2].map(|i| call.inputs[i].numbers());
        if !dx.add {
            dx.data.fill(0.0);
        }
        let places = || places(y, present, &call.shapes.inputs[0]);
        let scale = -call.cotangent[0] / places().count().max(1) as f32;
        for place in places() {
            let ((f, short), (g, _)) = (place.inverse(x), place.inverse(y));
            let along = if short { 0.0 } else { f * f * place.dot(x, y) };
            place.indices().for_each(|i| dx.data[i] += scale * f * g * (y[i] - along * x[i]));
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
