//! `ordinal`: cumulative binary cross-entropy over the steps between ordered classes (Cao et al. 2020, arXiv 1901.07884).
//!
//! For `n` classes the prediction has `n − 1` logits; logit `k` says whether the class lies above `k`. `L` is the mean over the
//! elements that count and over `k` of `−[t · ln σ(x_k) + (1 − t) · ln(1 − σ(x_k))]` with `t = 1` where the class is above `k`,
//! else 0. Prediction of `[batch, n − 1]`, `[batch, S, n − 1]` or `[batch, n − 1, H, W]` with classes of `[batch]`, `[batch, S]`
//! or `[batch, H, W]`; what counts is told in [`presence`](super::presence).

use super::operation::{Mismatch, Operation};
use super::presence::{classification, elements, nothing};
use super::sigmoid::logistic;
use super::sound::unary;
use super::value::{T0, T2, Tape, Value};
use crate::base::Type;
use dfdx::prelude::{Cpu, HasShape, MeanTo, TensorFromVec};
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ordinal {}

impl Operation for Ordinal {
    const NAME: &'static str = "ordinal";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        Ok(classification(Self::NAME, inputs)?.1)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let Some((x, ids)) = elements(inputs, |id, steps| id <= steps) else { return nothing() };
        let shape = *x.shape();
        // `−ln σ(s · x) = ln(1 + e^(−s · x))`, with the sign `s` that the class asks for.
        let signs = ids.iter().flat_map(|&id| (0..shape.1).map(move |k| if id > k { 1.0 } else { -1.0 })).collect();
        let signs: T2 = Cpu::default().tensor_from_vec(signs, shape);
        let softplus = |x: f32| (-x.abs()).exp().ln_1p() + if x < 0.0 { -x } else { 0.0 };
        let mean: T0<T> = unary(x * signs, softplus, |x| -logistic(-x)).mean();
        mean.into()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        8 * inputs[0].elements(1) as u64
    }
}
