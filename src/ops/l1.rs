//! `l1`: mean absolute error, `L = Σ |x − y| / N`, over the elements of the rows whose label is present.
//!
//! Its gradient where `x = y` is 0. See [`presence`](super::presence). Agrees with `torch.nn.functional.l1_loss`.

use super::operation::{Mismatch, Operation};
use super::presence::{over_present, regression};
use super::sound::unary;
use super::value::{Tape, Value};
use crate::base::Type;
use dfdx::prelude::MeanTo;
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct L1 {}

impl Operation for L1 {
    const NAME: &'static str = "l1";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        regression(Self::NAME, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        over_present(inputs, |x, y| unary(x - y, f32::abs, sign).mean())
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        3 * inputs[0].elements(1) as u64
    }
}

/// −1, 0 or 1, and NaN for NaN.
pub fn sign(e: f32) -> f32 {
    if e == 0.0 { 0.0 } else { e.signum() }
}
