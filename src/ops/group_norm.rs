//! `group_norm`: each group of channels of each image brought to mean 0 and variance 1, then scaled and shifted by
//! channel.
//!
//! `y = (x − mean) / √(var + ε) · γ[c] + β[c]`, with mean and biased variance over the places and channels of a group,
//! for `x` of `[batch, C, H, W]` and `γ`, `β` of `[C]`. Wu and He 2018.

use super::operation::{Maps, Mismatch, Operation, attribute, image, numbers, parameter, require, sizes};
use super::value::{T4, Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axes3, Axis, BroadcastTo, HasShape, ReshapeTo};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `gamma`, `beta`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupNorm {
    pub groups: usize,
    pub epsilon: f64,
}

impl Operation for GroupNorm {
    const NAME: &'static str = "group_norm";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x, gamma, beta] = numbers(Self::NAME, inputs)?;
        let [c, _, _] = image(Self::NAME, &x)?;
        sizes(Self::NAME, "groups", &[self.groups], 1)?;
        require(c % self.groups == 0, || {
            format!("{} groups do not divide the {c} channels of `group_norm`", self.groups)
        })?;
        parameter(Self::NAME, "gamma", &gamma, &[c])?;
        parameter(Self::NAME, "beta", &beta, &[c])?;
        attribute(Self::NAME, "epsilon", self.epsilon, "above 0", self.epsilon > 0.0)?;
        Ok(x)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x, gamma, beta] = take(inputs);
        let x = x.r4();
        let shape = *x.shape();
        let groups = x.reshape_like(&(shape.0, self.groups, shape.1 / self.groups * shape.2 * shape.3));
        let y: T4<T> = groups.normalize::<Axis<2>>(self.epsilon).reshape_like(&shape);
        let gamma = gamma.r1().broadcast_like::<_, Axes3<0, 2, 3>>(&shape);
        (y * gamma + beta.r1().broadcast_like::<_, Axes3<0, 2, 3>>(&shape)).into()
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        8 * output.elements(1) as u64
    }
}
