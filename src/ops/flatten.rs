//! `flatten`: all axes of an example in one, row-major: `[batch, …]` to `[batch, n]`.

use super::operation::{Mismatch, Operation, numbers, require};
use super::sound::copy;
use super::value::{Tape, Value, take};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flatten {}

impl Operation for Flatten {
    const NAME: &'static str = "flatten";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        require(x.is_batched(), || format!("`flatten` takes a value of every example, and got the fixed value {x}"))?;
        Ok(x.with_inner(&[x.inner().iter().product()]))
    }

    fn is_view(&self, _inputs: &[Type]) -> bool {
        true
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        copy(x.rows()).into()
    }

    fn flops(&self, _inputs: &[Type], _output: &Type) -> u64 {
        0
    }
}
