//! `scale_filters`: the filters of a convolution or linear layer, scaled as the norm behind it would scale their results.
//!
//! `w'[.., c, ..] = w[.., c, ..] · γ[c] / √(v[c] + ε)`, where `c` runs along `axis` of `w`. With `fold_bias` this is what is
//! left of a `batch_norm` that is folded into the op before it.

use super::operation::{Mismatch, Operation, attribute, numbers, parameter, require};
use super::value::{T1, Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axes2, BroadcastTo, HasShape};
use serde::{Deserialize, Serialize};

/// Inputs: `w`, `gamma`, `var`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScaleFilters {
    /// The axis of `w` along which the channels of the result lie.
    pub axis: usize,
    pub epsilon: f64,
}

impl Operation for ScaleFilters {
    const NAME: &'static str = "scale_filters";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [w, gamma, var] = numbers(Self::NAME, inputs)?;
        require(!w.is_batched() && self.axis < w.rank(), || {
            format!("`{}` takes a fixed value with an axis {}, and got {w}", Self::NAME, self.axis)
        })?;
        let channels = w.inner()[self.axis];
        parameter(Self::NAME, "gamma", &gamma, &[channels])?;
        parameter(Self::NAME, "variance", &var, &[channels])?;
        attribute(Self::NAME, "epsilon", self.epsilon, "above 0", self.epsilon > 0.0)?;
        Ok(w)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let [w, gamma, var] = take(inputs);
        let w = w.around(self.axis);
        let shape = *w.shape();
        let scale: T1<T> = gamma.r1() / (var.r1() + self.epsilon as f32).sqrt();
        Value::shaped(w * scale.broadcast_like::<_, Axes2<0, 2>>(&shape), &dims)
    }
}
