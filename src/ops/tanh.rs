//! `tanh`: `(e^x − e^(−x)) / (e^x + e^(−x))`.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers};
use super::sound::unary;
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x` of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tanh {}

impl Operation for Tanh {
    const NAME: &'static str = "tanh";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let slope = |x: f32| 1.0 - x.tanh() * x.tanh();
        each_rank!(x, |t| unary(t, f32::tanh, slope))
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        4 * output.elements(1) as u64
    }
}
