//! `normalize_l2`: each vector scaled to length 1: `y = x / max(‖x‖, ε)`, for `x` of `[batch, e]`.
//!
//! A vector shorter than `ε` is divided by `ε`, which then is a constant for the gradient. Agrees with
//! `torch.nn.functional.normalize`.

use super::operation::{Mismatch, Operation, attribute, batched, numbers};
use super::sound::unary;
use super::value::{T1, T2, Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axis, BroadcastTo, HasShape, SumTo};
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormalizeL2 {
    pub epsilon: f64,
}

impl Operation for NormalizeL2 {
    const NAME: &'static str = "normalize_l2";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        let [_] = batched(Self::NAME, "a vector, f32[width]", &x)?;
        attribute(Self::NAME, "epsilon", self.epsilon, "above 0", self.epsilon > 0.0)?;
        Ok(x)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        unit(x.r2(), self.epsilon as f32).into()
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        3 * output.elements(1) as u64
    }
}

/// `x / max(‖x‖, ε)` for each row.
pub fn unit<T: Tape>(x: T2<T>, epsilon: f32) -> T2<T> {
    let shape = *x.shape();
    let squares: T1<T> = x.retaped::<T>().square().sum::<_, Axis<1>>();
    let slope = move |s: f32| if s.sqrt() < epsilon { 0.0 } else { -0.5 / (s * s.sqrt()) };
    let inverse = unary(squares, |s| if s.sqrt() < epsilon { 1.0 / epsilon } else { 1.0 / s.sqrt() }, slope);
    x * inverse.broadcast_like::<_, Axis<1>>(&shape)
}
