//! `leaky_relu`: `x` above 0 and `slope · x` elsewhere, with the gradient `slope` at 0.

use super::operation::{Maps, Mismatch, Operation, attribute, elementwise_maps, numbers};
use super::sound::unary;
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x` of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeakyRelu {
    pub slope: f64,
}

impl Operation for LeakyRelu {
    const NAME: &'static str = "leaky_relu";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        attribute(Self::NAME, "slope", self.slope, "finite", true)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let slope = self.slope as f32;
        let rate = move |x: f32| if x > 0.0 { 1.0 } else { slope };
        each_rank!(x, |t| unary(t, |x| if x > 0.0 { x } else { slope * x }, rate))
    }
}
