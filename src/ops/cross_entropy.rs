//! `cross_entropy`: the negative log-likelihood of the right class.
//!
//! With `p = log softmax(x)`, class weights `w` (all 1 by default), smoothing `s` and `C` classes,
//!
//! `L = −Σ_i [(1 − s) · w[y_i] · p[i, y_i] + s / C · Σ_c w[c] · p[i, c]] / Σ_i w[y_i]`,
//!
//! over the elements `i` that count: their row is present and their index is neither negative nor `ignore`; see
//! [`presence`](super::presence). Prediction of `[batch, C]`, `[batch, S, C]` or `[batch, C, H, W]` with classes of
//! `[batch]`, `[batch, S]` or `[batch, H, W]`. Agrees with `torch.nn.functional.cross_entropy`. When the weights that
//! count sum to 0, the loss is 0.

use super::operation::{Mismatch, Operation, attribute, require};
use super::presence::{at_class, classification, classified, nothing};
use super::sound::log_softmax;
use super::value::{T0, Tape, Value};
use crate::base::Type;
use dfdx::prelude::{Axis, Cpu, HasShape, SumTo, TensorFromVec};
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropy {
    pub smoothing: f64,
    /// One weight per class.
    pub weights: Option<Vec<f64>>,
    /// A class that does not count, besides negative ones.
    pub ignore: Option<i64>,
}

impl Operation for CrossEntropy {
    const NAME: &'static str = "cross_entropy";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let (classes, output) = classification(Self::NAME, inputs)?;
        attribute(Self::NAME, "smoothing", self.smoothing, "in [0, 1)", (0.0..1.0).contains(&self.smoothing))?;
        if let Some(weights) = &self.weights {
            require(weights.len() == classes, || {
                format!("`{}` over {classes} classes got {} weights", Self::NAME, weights.len())
            })?;
            for &weight in weights {
                attribute(Self::NAME, "class weight", weight, "at least 0", weight >= 0.0)?;
            }
        }
        Ok(output)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let Some((scores, ids)) = classified(inputs, self.ignore) else { return nothing() };
        let &(elements, classes) = scores.shape();
        let weight = |class: usize| self.weights.as_ref().map_or(1.0, |w| w[class]);
        let norm: f64 = ids.iter().map(|&id| weight(id)).sum();
        if norm <= 0.0 {
            return nothing();
        }
        let logs = log_softmax::<Axis<1>, _, _>(scores);
        let right = ids.iter().map(|&id| (-(1.0 - self.smoothing) * weight(id) / norm) as f32).collect();
        let right = Cpu::default().tensor_from_vec(right, (elements,));
        if self.smoothing == 0.0 {
            return (at_class(logs, &ids) * right).sum::<(), _>().into();
        }
        let even = |class: usize| (-self.smoothing / classes as f64 * weight(class) / norm) as f32;
        let even = (0..elements * classes).map(|i| even(i % classes)).collect();
        let even = Cpu::default().tensor_from_vec(even, (elements, classes));
        let hard: T0<T> = (at_class(logs.retaped::<T>(), &ids) * right).sum();
        let smooth: T0<T> = (logs * even).sum();
        (smooth + hard).into()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        6 * inputs[0].elements(1) as u64
    }
}
