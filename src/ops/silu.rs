//! `silu`: `x / (1 + e^(−x))`, also called swish. Elfwing et al. 2017.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers};
use super::sigmoid::logistic;
use super::sound::unary;
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x` of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silu {}

impl Operation for Silu {
    const NAME: &'static str = "silu";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let slope = |x: f32| {
            let s = logistic(x);
            s * (1.0 + x * (1.0 - s))
        };
        each_rank!(x, |t| unary(t, |x| x * logistic(x), slope))
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        4 * output.elements(1) as u64
    }
}
