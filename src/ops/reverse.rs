//! `reverse`: the examples of a batch in reverse order.
//!
//! It pairs each example with another one of the batch, as mixup wants it; where the batch is odd, the middle one with itself.

use super::operation::{Maps, Mismatch, Operation, numbers, require};
use super::sound::index_select;
use super::value::{Tape, Value, take};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reverse {}

impl Operation for Reverse {
    const NAME: &'static str = "reverse";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        require(x.is_batched(), || format!("`reverse` takes a value of every example, and got {x}"))?;
        Ok(x)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let [x] = take(inputs);
        Value::shaped(index_select(x.around(0), (0..dims[0]).rev().collect(), 0.0), &dims)
    }

    /// Either order: whole examples move.
    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::Any
    }

    fn is_by_row(&self) -> bool {
        false
    }

    fn flops(&self, _inputs: &[Type], _output: &Type) -> u64 {
        0
    }
}
