//! `silog`: the scale-invariant error of depths, in logarithms.
//!
//! With `d = ln x − ln y`, `L = mean(d²) − λ · mean(d)²` over the elements of present rows whose target is above 0;
//! with `λ = 1` a prediction may be off by any factor at no cost. Predictions below 10⁻⁶ count as 10⁻⁶, with no
//! gradient. See [`presence`](super::presence). Eigen, Puhrsch and Fergus 2014.

use super::operation::{Mismatch, Operation, attribute};
use super::presence::{nothing, present, regression};
use super::sound::{pick, unary};
use super::value::{T0, T1, Tape, Value};
use crate::base::Type;
use dfdx::prelude::{Cpu, MeanTo, TensorFromVec};
use serde::{Deserialize, Serialize};

/// The smallest prediction whose logarithm is taken.
const SMALLEST: f32 = 1e-6;

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silog {
    pub lambda: f64,
}

impl Operation for Silog {
    const NAME: &'static str = "silog";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        attribute(Self::NAME, "lambda", self.lambda, "in [0, 1]", (0.0..=1.0).contains(&self.lambda))?;
        regression(Self::NAME, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let Some((x, y)) = present(inputs) else { return nothing() };
        let targets = y.as_vec();
        let (valid, logs): (Vec<usize>, Vec<f32>) =
            targets.iter().enumerate().filter(|(_, y)| **y > 0.0).map(|(i, y)| (i, y.ln())).unzip();
        if valid.is_empty() {
            return nothing();
        }
        let logs = Cpu::default().tensor_from_vec(logs, (valid.len(),));
        let ln = |x: f32| if x < SMALLEST { SMALLEST.ln() } else { x.ln() };
        let slope = |x: f32| if x < SMALLEST { 0.0 } else { 1.0 / x };
        let d: T1<T> = unary(pick(Value::R2(x).flat(), valid), ln, slope) - logs;
        let mean: T0<T> = d.retaped::<T>().mean();
        let squares: T0<T> = d.square().mean();
        (squares - mean.square() * self.lambda as f32).into()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        6 * inputs[0].elements(1) as u64
    }
}
