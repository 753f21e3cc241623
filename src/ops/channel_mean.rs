//! `channel_mean`: the mean of each channel over the batch and all places.
//!
//! `m[c] = Σ_{n, l} x[n, c, l] / N`, for `x` of `[batch, C]`, `[batch, C, L]` or `[batch, C, H, W]`; `N` counts every
//! axis but the channel's. The first half of the statistics of a batch norm in training. Places are summed before
//! examples, which keeps the rounding of the sum small.

use super::operation::{Maps, Mismatch, Operation, number, numbers, require};
use super::value::{T3, Tape, Value, take};
use crate::base::{DType, Type};
use dfdx::prelude::{Axis, HasShape, ReshapeTo, SumTo};
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelMean {}

impl Operation for ChannelMean {
    const NAME: &'static str = "channel_mean";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        Ok(Type::fixed(DType::F32, &[channels(Self::NAME, &x)?]))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        mean(by_channel(x)).into()
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        inputs[0].elements(1) as u64
    }
}

/// The number of channels of a value that has them on axis 1.
pub fn channels(name: &str, x: &Type) -> Result<usize, Mismatch> {
    number(name, x)?;
    require(x.is_batched() && (2..=4).contains(&x.rank()), || {
        format!(
            "`{name}` takes f32[channels], f32[channels, length] or f32[channels, height, width], and got {}",
            x.example()
        )
    })?;
    Ok(x.inner()[0])
}

/// `[batch, channels, places]`.
pub fn by_channel<T: Tape>(x: Value<T>) -> T3<T> {
    x.around(1)
}

/// The mean over the first and the last axis.
pub fn mean<T: Tape>(x: T3<T>) -> super::value::T1<T> {
    let &(batch, c, places) = x.shape();
    let sums = x.sum::<(usize, usize), Axis<2>>().sum::<(usize,), Axis<0>>();
    sums.reshape_like(&(c,)) * (1.0 / (batch * places) as f32)
}
