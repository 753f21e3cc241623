//! `uncertainty`: losses weighted by learned uncertainties.
//!
//! `L = Σ_i w_i · (½ e^(−s_i) · L_i + ½ s_i)` with a learned `s_i = ln σ_i²` per task, as in Kendall, Gal and Cipolla
//! 2018, and the constant `w_i` of the spec.

use super::operation::{Mismatch, Operation, count, number, parameter};
use super::sound::pick;
use super::value::{T0, Tape, Value};
use super::weighted_sum::scalars;
use crate::base::Type;
use dfdx::prelude::ReshapeTo;
use serde::{Deserialize, Serialize};

/// Inputs: as many scalar losses as there are weights, then `s` with a number for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Uncertainty {
    pub weights: Vec<f64>,
}

impl Operation for Uncertainty {
    const NAME: &'static str = "uncertainty";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let Some((s, losses)) = inputs.split_last() else {
            return Err(Mismatch::new(format!(
                "`uncertainty` takes losses and their log-variances, and got {}",
                count(0, "input")
            )));
        };
        let output = scalars(Self::NAME, &self.weights, losses)?;
        number(Self::NAME, s)?;
        parameter(Self::NAME, "log-variance", s, &[self.weights.len()])?;
        Ok(output)
    }

    fn define<T: Tape>(&self, mut inputs: Vec<Value<T>>) -> Value<T> {
        let s = inputs.pop().expect("the signature asks for it").r1();
        let terms = inputs.into_iter().zip(&self.weights).enumerate().map(|(i, (loss, &weight))| {
            let s: T0<T> = pick(s.retaped::<T>(), vec![i]).reshape_like(&());
            ((s.retaped::<T>() * -1.0).exp() * loss.r0() + s) * (0.5 * weight as f32)
        });
        terms.reduce(|sum: T0<T>, term| sum + term).expect("the signature asks for one at least").into()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        6 * inputs.len() as u64
    }
}
