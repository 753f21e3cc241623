//! `relu`: `max(x, 0)`, whose gradient at 0 is 0. A NaN stays a NaN.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers};
use super::sound::unary;
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x` of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relu {}

impl Operation for Relu {
    const NAME: &'static str = "relu";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        each_rank!(x, |t| unary(t, |x| if x <= 0.0 { 0.0 } else { x }, |x| if x <= 0.0 { 0.0 } else { 1.0 }))
    }
}
