//! `batch_norm`: each channel shifted and scaled by given statistics.
//!
//! `y[n, c, l] = (x[n, c, l] − m[c]) · γ[c] / √(v[c] + ε) + β[c]`, for `x` of `[batch, C]`, `[batch, C, L]` or
//! `[batch, C, H, W]`. In training, `m` and `v` come from `channel_mean` and `channel_var`, and the gradient flows on
//! through them, which together is the batch norm of Ioffe and Szegedy 2015; when frozen or evaluated they are the
//! running statistics. Where the moments are those of `x` itself, as in training, `own_moments` may say so: then they are inputs
//! only so that they need not be computed again, and the whole gradient flows to `x`.

use super::channel_mean::{by_channel, channels, mean};
use super::epilogue::Epilogue;
use super::operation::{Maps, Mismatch, Operation, attribute, numbers, parameter};
use super::value::{T1, T3, Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axes2, BroadcastTo, HasShape};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `mean`, `var`, `gamma`, `beta`, and the residual of the epilogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    pub epsilon: f64,
    /// Whether the moments are those of `x` itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_moments: bool,
    #[serde(default, skip_serializing_if = "Epilogue::is_empty")]
    pub epilogue: Epilogue,
}

impl Operation for BatchNorm {
    const NAME: &'static str = "batch_norm";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        self.epilogue.signature(Self::NAME, inputs, |inputs| {
            let [x, others @ ..] = numbers::<5>(Self::NAME, inputs)?;
            let c = channels(Self::NAME, &x)?;
            for (role, other) in ["mean", "variance", "gamma", "beta"].into_iter().zip(&others) {
                parameter(Self::NAME, role, other, &[c])?;
            }
            attribute(Self::NAME, "epsilon", self.epsilon, "above 0", self.epsilon > 0.0)?;
            Ok(x)
        })
    }

    fn passes(&self, i: usize, inputs: &[Type]) -> bool {
        self.epilogue.passes(i, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        self.epilogue.define(inputs, |inputs| {
            let dims = inputs[0].dims();
            let [x, m, v, gamma, beta] = take(inputs);
            let x = by_channel(x);
            let shape = *x.shape();
            let (centred, v): (T3<T>, T1<T>) = if self.own_moments {
                let m: T1<T> = mean(x.retaped::<T>());
                let centred = x - m.broadcast_like::<_, Axes2<0, 2>>(&shape);
                let v = mean(centred.retaped::<T>().square());
                (centred, v)
            } else {
                (x - m.r1().broadcast_like::<_, Axes2<0, 2>>(&shape), v.r1())
            };
            let scale: T1<T> = gamma.r1() / (v + self.epsilon as f32).sqrt();
            let y = centred * scale.broadcast_like::<_, Axes2<0, 2>>(&shape);
            Value::shaped(y + beta.r1().broadcast_like::<_, Axes2<0, 2>>(&shape), &dims)
        })
    }

    /// The moments of its own input are those of all rows.
    fn is_by_row(&self) -> bool {
        !self.own_moments
    }

    fn differentiates(&self, input: usize) -> bool {
        !(self.own_moments && (1..3).contains(&input))
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        2 * inputs[0].elements(1) as u64
    }
}
