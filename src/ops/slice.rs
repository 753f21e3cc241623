//! `slice`: the entries from `start` up to, but not including, `end` of one axis.
//!
//! `axis` counts the batch as 0, and is at least 1. The gradient goes back to its place and adds up where slices
//! overlap.

use super::operation::{Maps, Mismatch, Operation, numbers, require};
use super::softmax::axis_of;
use super::sound::index_select;
use super::value::{Tape, Value, take};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    pub axis: usize,
    pub start: usize,
    pub end: usize,
}

impl Operation for Slice {
    const NAME: &'static str = "slice";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        axis_of(Self::NAME, &x, self.axis)?;
        let mut inner = x.inner();
        require(self.start < self.end && self.end <= inner[self.axis - 1], || {
            format!("`slice` from {} to {} leaves axis {} of {x}", self.start, self.end, self.axis)
        })?;
        inner[self.axis - 1] = self.end - self.start;
        Ok(x.with_inner(&inner))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let mut dims = inputs[0].dims();
        dims[self.axis] = self.end - self.start;
        let [x] = take(inputs);
        Value::shaped(index_select(x.around(self.axis), (self.start..self.end).collect(), 0.0), &dims)
    }

    /// Either order: the kernel counts axes as they are stored.
    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::Any
    }

    fn flops(&self, _inputs: &[Type], _output: &Type) -> u64 {
        0
    }
}
