//! `hardsigmoid`: `min(max(x + 3, 0), 6) / 6`, with PyTorch's gradient at the joints: 0. Howard et al. 2019,
//! arXiv 1905.02244.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers};
use super::sound::unary;
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x` of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hardsigmoid {}

impl Operation for Hardsigmoid {
    const NAME: &'static str = "hardsigmoid";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let slope = |x: f32| if x <= -3.0 || x >= 3.0 { 0.0 } else { 1.0 / 6.0 };
        each_rank!(x, |t| unary(t, |x| (x + 3.0).clamp(0.0, 6.0) / 6.0, slope))
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        3 * output.elements(1) as u64
    }
}
