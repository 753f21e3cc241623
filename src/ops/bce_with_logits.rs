//! `bce_with_logits`: binary cross-entropy of a score `x` against a target `y` in [0, 1].
//!
//! `L` is the mean of `−[w · y · ln σ(x) + (1 − y) · ln(1 − σ(x))]` over the elements of the rows whose label is
//! present, `w` a weight of positives, 1 by default; see [`presence`](super::presence). It is computed as
//! `(1 − y) · x + (1 + (w − 1) · y) · ln(1 + e^(−x))`, which no score overflows. Agrees with
//! `torch.nn.functional.binary_cross_entropy_with_logits`.

use super::operation::{Mismatch, Operation, attribute};
use super::presence::{over_present, regression};
use super::sigmoid::logistic;
use super::sound::unary;
use super::value::{T2, Tape, Value};
use crate::base::Type;
use dfdx::prelude::MeanTo;
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BceWithLogits {
    pub positive_weight: Option<f64>,
}

impl Operation for BceWithLogits {
    const NAME: &'static str = "bce_with_logits";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        if let Some(weight) = self.positive_weight {
            attribute(Self::NAME, "positive weight", weight, "above 0", weight > 0.0)?;
        }
        regression(Self::NAME, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let extra = (self.positive_weight.unwrap_or(1.0) - 1.0) as f32;
        over_present(inputs, |x, y| {
            let softplus = |x: f32| (-x.abs()).exp().ln_1p() + if x < 0.0 { -x } else { 0.0 };
            let loss: T2<T> = unary(x.retaped::<T>(), softplus, |x| -logistic(-x)) * (y.clone() * extra + 1.0);
            (loss + x * (y * -1.0 + 1.0)).mean()
        })
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        8 * inputs[0].elements(1) as u64
    }
}
