//! `layer_norm`: each vector brought to mean 0 and variance 1, then scaled and shifted.
//!
//! Over the last axis, `y = (x − mean) / √(var + ε) · γ + β` with the biased variance, for `x` of `[batch, e]` or
//! `[batch, tokens, e]` and `γ`, `β` of `[e]`. Ba, Kiros and Hinton 2016.

use super::operation::{Mismatch, Operation, attribute, numbers, parameter, require};
use super::value::{Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axes2, Axis, BroadcastTo, HasShape};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `gamma`, `beta`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerNorm {
    pub epsilon: f64,
}

impl Operation for LayerNorm {
    const NAME: &'static str = "layer_norm";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x, gamma, beta] = numbers(Self::NAME, inputs)?;
        require(x.is_batched() && (2..=3).contains(&x.rank()), || {
            format!("`layer_norm` takes a vector or a sequence of vectors, and got {}", x.example())
        })?;
        let width = *x.inner().last().expect("rank was checked");
        parameter(Self::NAME, "gamma", &gamma, &[width])?;
        parameter(Self::NAME, "beta", &beta, &[width])?;
        attribute(Self::NAME, "epsilon", self.epsilon, "above 0", self.epsilon > 0.0)?;
        Ok(x)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let [x, gamma, beta] = take(inputs);
        let x = x.around(dims.len() - 1);
        let shape = *x.shape();
        let gamma = gamma.r1().broadcast_like::<_, Axes2<0, 2>>(&shape);
        let beta = beta.r1().broadcast_like::<_, Axes2<0, 2>>(&shape);
        Value::shaped(x.normalize::<Axis<1>>(self.epsilon) * gamma + beta, &dims)
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        8 * output.elements(1) as u64
    }
}
