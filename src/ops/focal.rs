//! `focal`: cross-entropy that turns away from what is already right.
//!
//! `L` is the mean of `−α · (1 − p)^γ · ln p` over the elements that count, `p` the softmax probability of the right
//! class; `α` is 1 by default. Shapes and what counts are those of `cross_entropy`; see [`presence`](super::presence).
//! Lin et al. 2017, with softmax in place of the sigmoid.

use super::operation::{Mismatch, Operation, attribute};
use super::presence::{at_class, classification, classified, nothing};
use super::sound::{log_softmax, unary};
use super::value::{T0, Tape, Value};
use crate::base::Type;
use dfdx::prelude::{Axis, MeanTo};
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Focal {
    pub gamma: f64,
    pub alpha: Option<f64>,
}

impl Operation for Focal {
    const NAME: &'static str = "focal";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let (_, output) = classification(Self::NAME, inputs)?;
        attribute(Self::NAME, "gamma", self.gamma, "at least 0", self.gamma >= 0.0)?;
        if let Some(alpha) = self.alpha {
            attribute(Self::NAME, "alpha", alpha, "above 0", alpha > 0.0)?;
        }
        Ok(output)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let Some((scores, ids)) = classified(inputs, None) else { return nothing() };
        let gamma = self.gamma as f32;
        // `1 − p` by `exp_m1`, which keeps its digits when `p` is near 1.
        let value = move |log: f32| (-log.exp_m1()).powf(gamma) * log;
        let slope = move |log: f32| match -log.exp_m1() {
            0.0 => {
                if gamma == 0.0 {
                    1.0
                } else {
                    0.0
                }
            }
            rest => rest.powf(gamma) - gamma * rest.powf(gamma - 1.0) * log.exp() * log,
        };
        let logs = at_class(log_softmax::<Axis<1>, _, _>(scores), &ids);
        let mean: T0<T> = unary(logs, value, slope).mean();
        (mean * (-self.alpha.unwrap_or(1.0)) as f32).into()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        6 * inputs[0].elements(1) as u64
    }
}
