//! `concat`: values one behind the other along an axis.
//!
//! `axis` counts the batch as 0, and is at least 1; all other axes agree.

use super::operation::{Maps, Mismatch, Operation, number, require};
use super::softmax::axis_of;
use super::sound::copy;
use super::value::{Tape, Value};
use crate::base::Type;
use dfdx::prelude::{Axis, TryConcatAlong};
use serde::{Deserialize, Serialize};

/// Inputs: one value or more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concat {
    pub axis: usize,
}

impl Operation for Concat {
    const NAME: &'static str = "concat";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let Some(first) = inputs.first() else {
            return Err(Mismatch::new("`concat` takes at least one input, and got none"));
        };
        let mut inner = first.inner();
        for (i, x) in inputs.iter().enumerate() {
            number(Self::NAME, x)?;
            axis_of(Self::NAME, x, self.axis)?;
            let fits = x.rank() == first.rank()
                && (1..x.rank()).all(|axis| axis == self.axis || x.dims[axis] == first.dims[axis]);
            require(fits, || format!("`concat` along axis {} got {} and {}", self.axis, first.example(), x.example()))
                .map_err(|m| m.help("the values agree in every other axis"))?;
            if i > 0 {
                inner[self.axis - 1] += x.inner()[self.axis - 1];
            }
        }
        Ok(first.with_inner(&inner))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let mut dims = inputs[0].dims();
        dims[self.axis] = inputs.iter().map(|x| x.dims()[self.axis]).sum();
        let parts = inputs.into_iter().map(|x| x.around(self.axis));
        let joined = parts.reduce(|a, b| (a, b).concat_along(Axis::<1>)).expect("the signature asks for one at least");
        Value::shaped(copy(joined), &dims)
    }

    /// Either order: the kernel counts axes as they are stored.
    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::Any
    }

    fn flops(&self, _inputs: &[Type], _output: &Type) -> u64 {
        0
    }
}
