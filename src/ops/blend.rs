//! `blend`: `share · a + (1 − share) · b`, with one share for all.
//!
//! The share is data: no gradient flows to it.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers, require};
use super::value::{Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{BroadcastTo, HasShape};
use serde::{Deserialize, Serialize};

/// Inputs: `a`, `b`, `share`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blend {}

impl Operation for Blend {
    const NAME: &'static str = "blend";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [a, b, share] = numbers(Self::NAME, inputs)?;
        require(a == b, || format!("`blend` takes two values of one shape, and got {a} and {b}"))?;
        require(share.rank() == 0, || format!("the share of `blend` is one number, and got {share}"))?;
        Ok(a)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let share = inputs[2].constant().r0();
        let [a, b, _] = take(inputs);
        let (a, b) = (a.flat(), b.flat());
        let share = share.broadcast_like(a.shape());
        Value::shaped(a * share.clone() + b * (-share + 1.0), &dims)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(&inputs[..2])
    }

    fn differentiates(&self, input: usize) -> bool {
        input < 2
    }
}
