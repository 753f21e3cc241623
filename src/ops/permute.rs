//! `permute`: the axes of each example in another order.
//!
//! Axis `i` of the result is axis `order[i]` of `x`; axes count from 0 behind the batch.

use super::operation::{Mismatch, Operation, numbers, require};
use super::sound::index_select;
use super::value::{Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{HasShape, ReshapeTo};
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Permute {
    pub order: Vec<usize>,
}

impl Operation for Permute {
    const NAME: &'static str = "permute";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        let inner = x.inner();
        require(x.is_batched(), || format!("`permute` takes a value of every example, and got the fixed value {x}"))?;
        require(self.order.len() == inner.len() && (0..inner.len()).all(|axis| self.order.contains(&axis)), || {
            format!("`permute` of {} takes each of its {} axes once, not {:?}", x.example(), inner.len(), self.order)
        })?;
        Ok(x.with_inner(&self.order.iter().map(|&axis| inner[axis]).collect::<Vec<_>>()))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let [x] = take(inputs);
        let x = x.rows();
        let &(batch, n) = x.shape();
        let inner = &dims[1..];
        let stride = |axis: usize| inner[axis + 1..].iter().product::<usize>();
        // The place in `x` of every number of the result, built up axis by axis.
        let index = self.order.iter().fold(vec![0], |places: Vec<usize>, &axis| {
            places.iter().flat_map(|place| (0..inner[axis]).map(move |i| place + i * stride(axis))).collect()
        });
        let permuted: Vec<usize> =
            dims[..1].iter().copied().chain(self.order.iter().map(|&axis| inner[axis])).collect();
        Value::shaped(index_select(x.reshape_like(&(batch, n, 1)), index, 0.0), &permuted)
    }

    fn flops(&self, _inputs: &[Type], _output: &Type) -> u64 {
        0
    }
}
