//! `relayout`: a feature map, stored in another order.
//!
//! `y = x`. Maps come and go row-major, `[batch, channels, height, width]`; kernels that read all channels of a pixel at once
//! want them behind each other. The layout pass puts this op wherever the order changes; what a map means stays the same.

use super::operation::{Maps, Mismatch, Operation, image, numbers};
use super::sound::unary;
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x` of `[batch, channels, height, width]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relayout {
    /// Whether the result has its channels last.
    pub channels_last: bool,
}

impl Operation for Relayout {
    const NAME: &'static str = "relayout";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        image(Self::NAME, &x)?;
        Ok(x)
    }

    fn is_view(&self, inputs: &[Type]) -> bool {
        let [channels, height, width] = inputs[0].inner()[..] else { return false };
        channels == 1 || height * width == 1
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        each_rank!(x, |t| unary(t, |x| x, |_| 1.0))
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::Any
    }

    fn flops(&self, _inputs: &[Type], _output: &Type) -> u64 {
        0
    }
}
