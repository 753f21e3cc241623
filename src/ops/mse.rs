//! `mse`: mean squared error.
//!
//! `L = Σ (x − y)² / N` over the `N` elements of the rows whose label is present, with prediction `x` and target `y` of
//! `[batch, …]`; see [`presence`](super::presence). Agrees with `torch.nn.functional.mse_loss` on the present rows.

use super::operation::{Mismatch, Operation};
use super::presence::{over_present, regression};
use super::value::{Tape, Value};
use crate::base::Type;
use dfdx::prelude::MeanTo;
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mse {}

impl Operation for Mse {
    const NAME: &'static str = "mse";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        regression(Self::NAME, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        over_present(inputs, |x, y| (x - y).square().mean())
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        3 * inputs[0].elements(1) as u64
    }
}
