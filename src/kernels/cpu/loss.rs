//! Losses, and the sums of several. A row whose label is missing is passed over. Formulas stand with the ops.

mod classes;
mod errors;
mod pairs;
mod steps;

use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::uncertainty::Uncertainty;
use crate::ops::weighted_sum::WeightedSum;

/// The ranges of the rows that have a label.
fn labelled(present: &[f32], numbers: usize) -> impl Iterator<Item = std::ops::Range<usize>> + Clone {
    let width = numbers / present.len().max(1);
    present.iter().enumerate().filter(|(_, p)| **p != 0.0).map(move |(row, _)| row * width..(row + 1) * width)
}

impl Kernel for WeightedSum {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        output[0] = inputs.iter().zip(&self.weights).map(|(x, w)| x.numbers()[0] * *w as f32).sum();
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        for (gradient, weight) in gradients.iter_mut().zip(&self.weights) {
            if let Some(gradient) = gradient {
                gradient.set(|_| call.cotangent[0] * *weight as f32);
            }
        }
    }
}

/// Inputs: losses, and then their log-variances.
impl Kernel for Uncertainty {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let (s, losses) = inputs.split_last().expect("the signature asks for it");
        let term = |((loss, s), w): ((&Input, &f32), &f64)| ((-s).exp() * loss.numbers()[0] + s) * (0.5 * w) as f32;
        output[0] = losses.iter().zip(s.numbers()).zip(&self.weights).map(term).sum();
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (s, losses) = call.inputs.split_last().expect("the signature asks for it");
        let (ds, own) = gradients.split_last_mut().expect("one for each input");
        let (s, dy) = (s.numbers(), call.cotangent[0]);
        let half = |i: usize| dy * (0.5 * self.weights[i]) as f32;
        for (i, gradient) in own.iter_mut().enumerate() {
            if let Some(gradient) = gradient {
                gradient.set(|_| half(i) * (-s[i]).exp());
            }
        }
        if let Some(ds) = ds {
            ds.set(|i| half(i) * (1.0 - (-s[i]).exp() * losses[i].numbers()[0]));
        }
    }
}
