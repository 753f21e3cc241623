//! `weighted_sum`: `Σ_i w_i · L_i` over scalars: the total loss of several tasks.

use super::operation::{Mismatch, Operation, number, require, same};
use super::value::{T0, Tape, Value};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: as many scalars as there are weights, at least one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightedSum {
    pub weights: Vec<f64>,
}

impl Operation for WeightedSum {
    const NAME: &'static str = "weighted_sum";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        scalars(Self::NAME, &self.weights, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let terms = inputs.into_iter().zip(&self.weights).map(|(loss, weight)| loss.r0() * *weight as f32);
        terms.reduce(|sum: T0<T>, term| sum + term).expect("the signature asks for one at least").into()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        2 * inputs.len() as u64
    }
}

/// The signature of a sum of scalars, each with a finite weight.
pub fn scalars(name: &str, weights: &[f64], losses: &[Type]) -> Result<Type, Mismatch> {
    require(!losses.is_empty() && losses.len() == weights.len(), || {
        format!(
            "`{name}` takes one loss per weight, at least one, and got {} for {} weights",
            losses.len(),
            weights.len()
        )
    })?;
    require(weights.iter().all(|w| w.is_finite()), || format!("the weights of `{name}` are finite, not {weights:?}"))?;
    for loss in losses {
        number(name, loss)?;
        same(name, "loss", loss, &Type::scalar())?;
    }
    Ok(Type::scalar())
}
