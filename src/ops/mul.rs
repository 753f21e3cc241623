//! `mul`: `a · b`, number by number.
//!
//! Both are of one type, or `b` is a fixed value of `a`'s inner shape that every example shares.

use super::add::{elementwise, pair};
use super::operation::{Maps, Mismatch, Operation, elementwise_maps};
use super::value::{Tape, Value};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: `a`, `b`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mul {}

impl Operation for Mul {
    const NAME: &'static str = "mul";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        pair(Self::NAME, inputs)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        elementwise(inputs, |a, b| a * b)
    }
}
