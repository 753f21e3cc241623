//! Losses that are the mean of one function of each prediction and its target.

use super::labelled;
use crate::kernels::cpu::math::sigmoid;
use crate::kernels::cpu::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::bce_with_logits::BceWithLogits;
use crate::ops::berhu::Berhu;
use crate::ops::huber::Huber;
use crate::ops::l1::{L1, sign};
use crate::ops::mse::Mse;
use crate::ops::smooth_l1::SmoothL1;

/// The mean of `value(x, y)` over the rows with a label, where the number of the target is there.
fn mean(inputs: &[Input], value: impl Fn(f32, f32) -> f32) -> f32 {
    let [x, y, present] = [0, 1, 2].map(|i| inputs[i].numbers());
    let (mut sum, mut count) = (0.0f64, 0);
    for range in labelled(present, x.len()) {
        let pairs = x[range.clone()].iter().zip(&y[range]).filter(|(_, y)| !y.is_nan());
        sum += pairs.inspect(|_| count += 1).map(|(x, y)| f64::from(value(*x, *y))).sum::<f64>();
    }
    if count == 0 { 0.0 } else { (sum / count as f64) as f32 }
}

/// The gradient of that mean for the prediction; targets and presence are data.
fn slopes(call: &Backward, gradients: &mut [Option<Gradient>], slope: impl Fn(f32, f32) -> f32 + Sync) {
    let [x, y, present] = [0, 1, 2].map(|i| call.inputs[i].numbers());
    let Some(dx) = &mut gradients[0] else { return };
    let width = x.len() / present.len().max(1);
    let count = labelled(present, x.len()).flatten().filter(|i| !y[*i].is_nan()).count();
    let scale = call.cotangent[0] / count.max(1) as f32;
    dx.set(|i| if present[i / width] == 0.0 || y[i].is_nan() { 0.0 } else { scale * slope(x[i], y[i]) });
}

/// Inputs: prediction, target, presence. `value` and `slope` are functions of the op, the prediction and the target.
macro_rules! means {
    ($op:ident, $value:expr, $slope:expr) => {
        impl Kernel for $op {
            fn reads(&self, _: usize) -> bool {
                true
            }

            fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
                let value: fn(&$op, f32, f32) -> f32 = $value;
                output[0] = mean(inputs, |x, y| value(self, x, y));
            }

            fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
                let slope: fn(&$op, f32, f32) -> f32 = $slope;
                slopes(call, gradients, |x, y| slope(self, x, y));
            }
        }
    };
}

means!(Mse, |_, x, y| (x - y) * (x - y), |_, x, y| 2.0 * (x - y));
means!(L1, |_, x, y| (x - y).abs(), |_, x, y| sign(x - y));
means!(
    Huber,
    |op, x, y| {
        let (e, delta) = ((x - y).abs(), op.delta as f32);
        if e <= delta { 0.5 * e * e } else { delta * (e - 0.5 * delta) }
    },
    |op, x, y| (x - y).clamp(-op.delta as f32, op.delta as f32)
);
means!(
    SmoothL1,
    |op, x, y| {
        let (e, beta) = ((x - y).abs(), op.beta as f32);
        if e < beta { 0.5 * e * e / beta } else { e - 0.5 * beta }
    },
    |op, x, y| ((x - y) / op.beta as f32).clamp(-1.0, 1.0)
);

/// What a positive counts beyond a negative.
fn extra(op: &BceWithLogits) -> f32 {
    (op.positive_weight.unwrap_or(1.0) - 1.0) as f32
}

means!(
    BceWithLogits,
    |op, x, y| {
        let softplus = (-x.abs()).exp().ln_1p() + if x < 0.0 { -x } else { 0.0 };
        (1.0 - y) * x + (1.0 + extra(op) * y) * softplus
    },
    |op, x, y| (1.0 - y) - (1.0 + extra(op) * y) * sigmoid(-x)
);

/// The error from which `berhu` is squared.
fn turn(op: &Berhu, inputs: &[Input]) -> f32 {
    let [x, y, present] = [0, 1, 2].map(|i| inputs[i].numbers());
    let given = labelled(present, x.len()).flatten().filter(|i| !y[*i].is_nan());
    let errors = given.map(|i| (x[i] - y[i]).abs());
    op.threshold as f32 * errors.fold(0.0, f32::max)
}

impl Kernel for Berhu {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let c = turn(self, inputs);
        output[0] = mean(inputs, |x, y| {
            let e = (x - y).abs();
            if e <= c { e } else { (e * e + c * c) / (2.0 * c) }
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let c = turn(self, call.inputs);
        slopes(call, gradients, |x, y| if (x - y).abs() <= c { sign(x - y) } else { (x - y) / c });
    }
}
