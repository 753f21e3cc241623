//! `hardswish`: `x · min(max(x + 3, 0), 6) / 6`, with PyTorch's gradient at the joints: 0 at −3, 1 at 3. Howard et al.
//! 2019.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers};
use super::sound::unary;
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x` of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hardswish {}

impl Operation for Hardswish {
    const NAME: &'static str = "hardswish";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let slope = |x: f32| match x {
            x if x <= -3.0 => 0.0,
            x if x >= 3.0 => 1.0,
            x => x / 3.0 + 0.5,
        };
        each_rank!(x, |t| unary(t, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0, slope))
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        4 * output.elements(1) as u64
    }
}
