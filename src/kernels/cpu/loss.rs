//! Losses, and the weighted sum of several. A row whose label is missing is passed over. Formulas stand with the ops.

use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::huber::Huber;
use crate::ops::mse::Mse;
use crate::ops::weighted_sum::WeightedSum;

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

/// Inputs: prediction, target, presence. `value` and `slope` are functions of the error.
macro_rules! of_errors {
    ($op:ident, $value:expr, $slope:expr) => {
        impl Kernel for $op {
            fn reads(&self, _: usize) -> bool {
                true
            }

            fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
                let [x, y, present] = [0, 1, 2].map(|i| inputs[i].numbers());
                let width = x.len() / present.len().max(1);
                let value: fn(&$op, f32) -> f32 = $value;
                let (mut sum, mut rows) = (0.0f64, 0);
                for (row, _) in present.iter().enumerate().filter(|(_, p)| **p != 0.0) {
                    let range = row * width..(row + 1) * width;
                    sum +=
                        x[range.clone()].iter().zip(&y[range]).map(|(x, y)| f64::from(value(self, x - y))).sum::<f64>();
                    rows += 1;
                }
                output[0] = if rows == 0 { 0.0 } else { (sum / (rows * width) as f64) as f32 };
            }

            fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
                let [x, y, present] = [0, 1, 2].map(|i| call.inputs[i].numbers());
                let Some(dx) = &mut gradients[0] else { return };
                let width = x.len() / present.len().max(1);
                let rows = present.iter().filter(|p| **p != 0.0).count();
                let scale = call.cotangent[0] / (rows * width).max(1) as f32;
                let slope: fn(&$op, f32) -> f32 = $slope;
                dx.set(|i| if present[i / width] == 0.0 { 0.0 } else { scale * slope(self, x[i] - y[i]) });
            }
        }
    };
}

of_errors!(Mse, |_, e| e * e, |_, e| 2.0 * e);
of_errors!(
    Huber,
    |op, e| {
        let delta = op.delta as f32;
        if e.abs() <= delta { 0.5 * e * e } else { delta * (e.abs() - 0.5 * delta) }
    },
    |op, e| e.clamp(-op.delta as f32, op.delta as f32)
);

/// The elements of a classification that count: number of the element, and its class.
fn counted<'a>(
    op: &'a CrossEntropy,
    ids: &'a [i64],
    present: &'a [f32],
    classes: usize,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    let each = ids.len() / present.len().max(1);
    let counts = move |i: usize, id: i64| present[i / each] != 0.0 && Some(id) != op.ignore && id < classes as i64;
    ids.iter()
        .enumerate()
        .filter(move |(i, id)| counts(*i, **id))
        .filter_map(|(i, &id)| Some((i, usize::try_from(id).ok()?)))
}

/// Where the scores of an element stand: the first one, and the distance between two classes.
fn scores(shape: &[usize], element: usize) -> (usize, usize) {
    if shape.len() == 4 {
        let positions = shape[2] * shape[3];
        (element / positions * shape[1] * positions + element % positions, positions)
    } else {
        (element * shape[shape.len() - 1], 1)
    }
}

fn class_count(shape: &[usize]) -> usize {
    if shape.len() == 3 { shape[2] } else { shape[1] }
}

impl CrossEntropy {
    fn weight(&self, class: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| w[class])
    }
}

/// The logarithm of Σ e^x over the classes of an element.
fn log_sum(x: &[f32], at: (usize, usize), classes: usize) -> f32 {
    let values = || (0..classes).map(|c| x[at.0 + c * at.1]);
    let most = values().fold(f32::NEG_INFINITY, f32::max);
    most + values().map(|v| (v - most).exp()).sum::<f32>().ln()
}

impl Kernel for CrossEntropy {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, ids, present, shape) = (inputs[0].numbers(), inputs[1].ids(), inputs[2].numbers(), &shapes.inputs[0]);
        let classes = class_count(shape);
        let (mut sum, mut norm) = (0.0, 0.0);
        for (i, class) in counted(self, ids, present, classes) {
            let at = scores(shape, i);
            let total = log_sum(x, at, classes);
            let loss = |c: usize| self.weight(c) * f64::from(total - x[at.0 + c * at.1]);
            sum += (1.0 - self.smoothing) * loss(class);
            if self.smoothing > 0.0 {
                sum += self.smoothing / classes as f64 * (0..classes).map(loss).sum::<f64>();
            }
            norm += self.weight(class);
        }
        output[0] = if norm > 0.0 { (sum / norm) as f32 } else { 0.0 };
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let (x, ids, present) = (call.inputs[0].numbers(), call.inputs[1].ids(), call.inputs[2].numbers());
        let shape = &call.shapes.inputs[0];
        let classes = class_count(shape);
        let norm: f64 = counted(self, ids, present, classes).map(|(_, class)| self.weight(class)).sum();
        if !dx.add {
            dx.data.fill(0.0);
        }
        if norm <= 0.0 {
            return;
        }
        let even: Vec<f32> = (0..classes).map(|c| (self.smoothing / classes as f64 * self.weight(c)) as f32).collect();
        let even_sum: f32 = even.iter().sum();
        let scale = (f64::from(call.cotangent[0]) / norm) as f32;
        for (i, class) in counted(self, ids, present, classes) {
            let at = scores(shape, i);
            let total = log_sum(x, at, classes);
            let hard = ((1.0 - self.smoothing) * self.weight(class)) as f32;
            for c in 0..classes {
                let p = (x[at.0 + c * at.1] - total).exp();
                let right = even[c] + if c == class { hard } else { 0.0 };
                dx.data[at.0 + c * at.1] += scale * (p * (hard + even_sum) - right);
            }
        }
    }
}
