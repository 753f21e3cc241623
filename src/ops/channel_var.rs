//! `channel_var`: the variance of each channel over the batch and all places.
//!
//! `v[c] = Σ_{n, l} (x[n, c, l] − m[c])² / N`, divided by the count `N` itself (the biased variance), for `x` of
//! `[batch, C]`, `[batch, C, L]` or `[batch, C, H, W]` and `m` from `channel_mean`. The gradient flows to `x` and `m`.

use super::channel_mean::{by_channel, channels, mean};
use super::operation::{Maps, Mismatch, Operation, numbers, parameter};
use super::value::{Tape, Value, take};
use crate::base::{DType, Type};
use dfdx::prelude::{Axes2, BroadcastTo};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `mean`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelVar {}

impl Operation for ChannelVar {
    const NAME: &'static str = "channel_var";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x, m] = numbers(Self::NAME, inputs)?;
        let c = channels(Self::NAME, &x)?;
        parameter(Self::NAME, "mean", &m, &[c])?;
        Ok(Type::fixed(DType::F32, &[c]))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x, m] = take(inputs);
        let x = by_channel(x);
        let m = m.r1().broadcast_like::<_, Axes2<0, 2>>(&x);
        mean((x - m).square()).into()
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        3 * inputs[0].elements(1) as u64
    }
}
