//! `reshape`: the numbers of each example, row-major, under other sizes.

use super::operation::{Mismatch, Operation, numbers, require};
use super::sound::copy;
use super::value::{Tape, Value, take};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// The sizes behind the batch axis.
    pub dims: Vec<usize>,
}

impl Operation for Reshape {
    const NAME: &'static str = "reshape";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        require(x.is_batched(), || format!("`reshape` takes a value of every example, and got the fixed value {x}"))?;
        let wanted = self.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        require(wanted == Some(x.elements(1)), || {
            format!("`reshape` to {:?} cannot hold the {} numbers of {}", self.dims, x.elements(1), x.example())
        })?;
        Ok(x.with_inner(&self.dims))
    }

    fn is_view(&self, _inputs: &[Type]) -> bool {
        true
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let dims: Vec<usize> = x.dims()[..1].iter().chain(&self.dims).copied().collect();
        Value::shaped(copy(x.flat()), &dims)
    }

    fn flops(&self, _inputs: &[Type], _output: &Type) -> u64 {
        0
    }
}
