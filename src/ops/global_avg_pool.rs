//! `global_avg_pool`: the mean of each channel over the image.
//!
//! `y[n, c] = Σ_{h, w} x[n, c, h, w] / (H · W)`, from `[batch, C, H, W]` to `[batch, C]`.

use super::operation::{Maps, Mismatch, Operation, image, numbers};
use super::value::{Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axes2, MeanTo};
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlobalAvgPool {}

impl Operation for GlobalAvgPool {
    const NAME: &'static str = "global_avg_pool";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        let [c, _, _] = image(Self::NAME, &x)?;
        Ok(x.with_inner(&[c]))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        x.r4().mean::<_, Axes2<2, 3>>().into()
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        inputs[0].elements(1) as u64
    }
}
