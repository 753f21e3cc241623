//! `smooth_l1`: absolute error, rounded near the target.
//!
//! With `e = x − y`, `L` is the mean of `e² / (2 β)` where `|e| < β` and of `|e| − β / 2` elsewhere, over the elements
//! of the rows whose label is present: `huber` divided by its `δ`. See [`presence`](super::presence). Agrees with
//! `torch.nn.functional.smooth_l1_loss`.

use super::operation::{Mismatch, Operation, attribute};
use super::presence::{over_present, regression};
use super::sound::unary;
use super::value::{Tape, Value};
use crate::base::Type;
use dfdx::prelude::MeanTo;
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SmoothL1 {
    pub beta: f64,
}

impl Operation for SmoothL1 {
    const NAME: &'static str = "smooth_l1";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        attribute(Self::NAME, "beta", self.beta, "above 0", self.beta > 0.0)?;
        regression(Self::NAME, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let beta = self.beta as f32;
        let value = move |e: f32| if e.abs() < beta { 0.5 * e * e / beta } else { e.abs() - 0.5 * beta };
        let slope = move |e: f32| (e / beta).clamp(-1.0, 1.0);
        over_present(inputs, |x, y| unary(x - y, value, slope).mean())
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        5 * inputs[0].elements(1) as u64
    }
}
