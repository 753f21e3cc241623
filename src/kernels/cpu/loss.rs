//! Losses, and the sums of several. A row whose label is missing is passed over. Formulas stand with the ops.

mod boxes;
mod classes;
mod errors;
mod pairs;
mod steps;

use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::balance::Balance;
use crate::ops::weighted_sum::WeightedSum;
use smallvec::SmallVec;

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

/// Tasks whose numbers need no memory.
const FEW: usize = 16;

impl Balance {
    /// The objective, and its derivative by each loss.
    fn evaluate(&self, inputs: &[Input]) -> (f64, SmallVec<[f64; FEW]>) {
        let tasks = self.weights.len();
        let losses: SmallVec<[f64; FEW]> = inputs[..tasks].iter().map(|x| f64::from(x.numbers()[0])).collect();
        let labels = inputs[tasks..2 * tasks].iter();
        let present: SmallVec<[bool; FEW]> = labels.map(|x| x.numbers().iter().any(|p| *p != 0.0)).collect();
        let numbers = inputs.get(2 * tasks).map_or(&[][..], |x| x.numbers());
        let mut slopes: SmallVec<[f64; FEW]> = SmallVec::from_elem(0.0, tasks);
        (self.formula.evaluate(&self.weights, &losses, numbers, &present, &mut slopes), slopes)
    }
}

impl Kernel for Balance {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        output[0] = self.evaluate(inputs).0 as f32;
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (_, slopes) = self.evaluate(call.inputs);
        for (gradient, slope) in gradients.iter_mut().zip(slopes) {
            if let Some(gradient) = gradient {
                gradient.set(|_| call.cotangent[0] * slope as f32);
            }
        }
    }
}
