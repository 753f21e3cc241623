//! `softmax`: `e^x / Σ e^x` along one axis.
//!
//! `axis` counts the batch as 0, and is at least 1. The largest number is subtracted first, so no power overflows.

use super::operation::{Mismatch, Operation, numbers, require};
use super::sound;
use super::value::{Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::Axis;
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Softmax {
    pub axis: usize,
}

impl Operation for Softmax {
    const NAME: &'static str = "softmax";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        axis_of(Self::NAME, &x, self.axis)?;
        Ok(x)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let [x] = take(inputs);
        Value::shaped(sound::softmax::<Axis<1>, _, _>(x.around(self.axis)), &dims)
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        5 * output.elements(1) as u64
    }
}

/// Fails unless `axis` is an axis of each example of `x`.
pub fn axis_of(name: &str, x: &Type, axis: usize) -> Result<(), Mismatch> {
    require(x.is_batched() && (1..x.rank()).contains(&axis), || {
        format!("`{name}` works on an axis of each example, and {} has no axis {axis}", x)
    })
}
