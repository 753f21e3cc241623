//! `berhu`: absolute error near the target, squared error far from it: the Huber loss reversed.
//!
//! With `e = x − y` and `c = threshold · max |e|`, `L` is the mean of `|e|` where `|e| ≤ c` and of `(e² + c²) / (2 c)`
//! elsewhere, over the elements of the rows whose label is present; `c` is a constant for the gradient. See
//! [`presence`](super::presence). Laina et al. 2016, with a threshold of 0.2.

use super::l1::sign;
use super::operation::{Mismatch, Operation, attribute};
use super::presence::{over_present, regression};
use super::sound::unary;
use super::value::{T2, Tape, Value};
use crate::base::Type;
use dfdx::prelude::MeanTo;
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Berhu {
    pub threshold: f64,
}

impl Operation for Berhu {
    const NAME: &'static str = "berhu";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        attribute(Self::NAME, "threshold", self.threshold, "above 0", self.threshold > 0.0)?;
        regression(Self::NAME, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        over_present(inputs, |x, y| {
            let error: T2<T> = x - y;
            let largest = error.as_vec().into_iter().fold(0.0, |largest: f32, e| largest.max(e.abs()));
            let c = self.threshold as f32 * largest;
            let value = move |e: f32| if e.abs() <= c { e.abs() } else { (e * e + c * c) / (2.0 * c) };
            let slope = move |e: f32| if e.abs() <= c { sign(e) } else { e / c };
            unary(error, value, slope).mean()
        })
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        6 * inputs[0].elements(1) as u64
    }
}
