//! `scale`: `factor · x`, number by number.

use super::operation::{Maps, Mismatch, Operation, attribute, elementwise_maps, numbers};
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    pub factor: f64,
}

impl Operation for Scale {
    const NAME: &'static str = "scale";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        attribute(Self::NAME, "factor", self.factor, "a finite number", true)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        each_rank!(x, |t| t * self.factor as f32)
    }
}
