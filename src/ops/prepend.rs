//! `prepend`: one vector in front of every sequence, the same for all examples.
//!
//! `y[n, 0] = w` and `y[n, t + 1] = x[n, t]`, for `x` of `[batch, t, e]` and `w` of `[e]`: the class token of Dosovitskiy et al.
//! 2020 (arXiv 2010.11929). The gradient of `w` is summed over the batch.

use super::operation::{Mismatch, Operation, batched, numbers, parameter};
use super::sound::copy;
use super::value::{T2, Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axis, BroadcastTo, ReshapeTo, TryConcatAlong};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `w`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepend {}

impl Operation for Prepend {
    const NAME: &'static str = "prepend";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x, w] = numbers(Self::NAME, inputs)?;
        let [tokens, width] = batched(Self::NAME, "a sequence of vectors, f32[tokens, width]", &x)?;
        parameter(Self::NAME, "vector", &w, &[width])?;
        Ok(x.with_inner(&[tokens + 1, width]))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let mut dims = inputs[0].dims();
        let (batch, width) = (dims[0], dims[2]);
        dims[1] += 1;
        let [x, w] = take(inputs);
        let first: T2<T> = w.r1().broadcast_like::<_, Axis<0>>(&(batch, width));
        let first = copy(first).reshape_like(&(batch, 1, width));
        Value::shaped(copy((first, x.r3()).concat_along(Axis::<1>)), &dims)
    }

    fn flops(&self, _inputs: &[Type], _output: &Type) -> u64 {
        0
    }
}
