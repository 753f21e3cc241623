//! `present`: 1 where an index is not `absent`, 0 where it is.
//!
//! From indices to numbers of the same shape: the mask of a padded sequence. Indices have no gradient.

use super::operation::{Mismatch, Operation, arity, indices};
use super::value::{Tape, Value, take};
use crate::base::{DType, Type};
use serde::{Deserialize, Serialize};

/// Inputs: `ids`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Present {
    pub absent: i64,
}

impl Operation for Present {
    const NAME: &'static str = "present";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [ids] = arity(Self::NAME, inputs)?;
        indices(Self::NAME, &ids)?;
        Ok(Type { dtype: DType::F32, dims: ids.dims })
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [ids] = take(inputs);
        let ids = ids.ids();
        let mask = ids.data.iter().map(|&id| if id == self.absent { 0.0 } else { 1.0 }).collect();
        Value::from_vec(mask, &ids.dims)
    }

    fn flops(&self, _inputs: &[Type], _output: &Type) -> u64 {
        0
    }
}
