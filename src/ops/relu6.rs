//! `relu6`: `min(max(x, 0), 6)`, whose gradient is 0 at 0 and at 6, as in PyTorch. A NaN stays a NaN.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers};
use super::sound::unary;
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x` of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relu6 {}

impl Operation for Relu6 {
    const NAME: &'static str = "relu6";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let inside = |x: f32| if x <= 0.0 || x >= 6.0 { 0.0 } else { 1.0 };
        each_rank!(x, |t| unary(t, |x| x.clamp(0.0, 6.0), inside))
    }
}
