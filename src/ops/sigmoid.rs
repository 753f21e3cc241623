//! `sigmoid`: `1 / (1 + e^(−x))`.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers};
use super::sound::unary;
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x` of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sigmoid {}

impl Operation for Sigmoid {
    const NAME: &'static str = "sigmoid";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let slope = |x: f32| logistic(x) * (1.0 - logistic(x));
        each_rank!(x, |t| unary(t, logistic, slope))
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        4 * output.elements(1) as u64
    }
}

/// `1 / (1 + e^(−x))`, for any `x` without overflow to NaN.
pub fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
