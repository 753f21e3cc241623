//! `dropout`: `y = x · mask`, number by number.
//!
//! Whoever runs the graph draws the mask, 0 with probability `p` and `1 / (1 − p)` otherwise, anew for each step; so a
//! definition has no randomness of its own, and a mask of ones switches it off. The mask is data: it has no gradient.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers, same};
use super::value::{Tape, Value, take};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `mask` of the same type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {}

impl Operation for Dropout {
    const NAME: &'static str = "dropout";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x, mask] = numbers(Self::NAME, inputs)?;
        same(Self::NAME, "mask", &mask, &x)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let [x, mask] = take(inputs);
        Value::shaped(x.flat() * mask.constant().flat(), &dims)
    }
}
