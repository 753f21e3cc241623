//! `huber`: squared error near the target, absolute error far from it.
//!
//! With `e = x − y`, `L` is the mean of `e² / 2` where `|e| ≤ δ` and of `δ · (|e| − δ / 2)` elsewhere, over the
//! elements of the rows whose label is present; see [`presence`](super::presence). Its gradient is `e` clipped to
//! `[−δ, δ]`. Agrees with `torch.nn.functional.huber_loss`.

use super::operation::{Mismatch, Operation, attribute};
use super::presence::{over_present, regression};
use super::sound::unary;
use super::value::{Tape, Value};
use crate::base::Type;
use dfdx::prelude::MeanTo;
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Huber {
    pub delta: f64,
}

impl Operation for Huber {
    const NAME: &'static str = "huber";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        attribute(Self::NAME, "delta", self.delta, "above 0", self.delta > 0.0)?;
        regression(Self::NAME, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let delta = self.delta as f32;
        let value = move |e: f32| if e.abs() <= delta { 0.5 * e * e } else { delta * (e.abs() - 0.5 * delta) };
        let slope = move |e: f32| e.clamp(-delta, delta);
        over_present(inputs, |x, y| unary(x - y, value, slope).mean())
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        5 * inputs[0].elements(1) as u64
    }
}
