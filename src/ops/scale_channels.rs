//! `scale_channels`: each channel of an example times a number of that example's own.
//!
//! `y[n, c, l] = x[n, c, l] · s[n, c]`, for `x` of `[batch, C, H, W]` (or `[batch, C, L]`) and `s` of `[batch, C]`: the second
//! half of squeeze and excitation (Hu et al. 2017, arXiv 1709.01507).

use super::operation::{Maps, Mismatch, Operation, numbers, require, same};
use super::value::{T3, Tape, Value, take};
use crate::base::{DType, Type};
use dfdx::prelude::{Axis, BroadcastTo, HasShape};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `s`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScaleChannels {}

impl Operation for ScaleChannels {
    const NAME: &'static str = "scale_channels";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x, s] = numbers(Self::NAME, inputs)?;
        require(x.is_batched() && x.rank() >= 3, || {
            format!(
                "`{}` takes channels with places, f32[channels, height, width], and got {}",
                Self::NAME,
                x.example()
            )
        })?;
        same(Self::NAME, "factor", &s, &Type::batched(DType::F32, &x.inner()[..1]))?;
        Ok(x)
    }

    /// Either order: the kernel knows where the channels lie.
    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::Any
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let [x, s] = take(inputs);
        let x = x.around(1);
        let shape = *x.shape();
        let scaled: T3<T> = x * s.r2().broadcast_like::<_, Axis<2>>(&shape);
        Value::shaped(scaled, &dims)
    }
}
