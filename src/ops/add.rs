//! `add`: `a + b`.
//!
//! Both are of one type, or `b` is a fixed value of `a`'s inner shape that every example shares, such as the positions
//! of a sequence; its gradient is then summed over the batch.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers, require};
use super::value::{T2, Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axis, BroadcastTo, HasShape};
use serde::{Deserialize, Serialize};

/// Inputs: `a`, `b`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Add {}

impl Operation for Add {
    const NAME: &'static str = "add";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        pair(Self::NAME, inputs)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn passes(&self, i: usize, inputs: &[Type]) -> bool {
        inputs[0] == inputs[1] || i == 0
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        elementwise(inputs, |a, b| a + b)
    }
}

/// The signature of an op between a value and another, or a fixed value for every example.
pub fn pair(name: &str, inputs: &[Type]) -> Result<Type, Mismatch> {
    let [a, b] = numbers(name, inputs)?;
    let shared = a.is_batched() && !b.is_batched() && a.inner() == b.inner();
    require(a == b || shared, || format!("`{name}` takes two values of one shape, and got {a} and {b}"))?;
    Ok(a)
}

/// Computes such an op, with the second value repeated for every example where it is fixed.
pub fn elementwise<T: Tape>(inputs: Vec<Value<T>>, op: impl FnOnce(T2<T>, T2<T>) -> T2<T>) -> Value<T> {
    let dims = inputs[0].dims();
    let [a, b] = take(inputs);
    let shared = b.dims().len() < dims.len();
    let a = a.rows();
    let b = if shared { b.flat().broadcast_like::<_, Axis<0>>(a.shape()) } else { b.rows() };
    Value::shaped(op(a, b), &dims)
}
