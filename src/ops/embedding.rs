//! `embedding`: a vector for each index: `y[n, s] = w[ids[n, s]]`.
//!
//! `ids` of `[batch, s]` and the table `w` of `[v, e]` give `[batch, s, e]`. The data layer has checked the indices; an
//! index outside the table all the same, negative ones included, reads zeros and receives no gradient.

use super::operation::{Mismatch, Operation, arity, indices, number, parameter};
use super::sound::{NOWHERE, index_select};
use super::value::{Tape, Value, take};
use crate::base::{DType, Type};
use dfdx::prelude::{HasShape, ReshapeTo};
use serde::{Deserialize, Serialize};

/// Inputs: `ids`, `w`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding {}

impl Operation for Embedding {
    const NAME: &'static str = "embedding";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [ids, w] = arity(Self::NAME, inputs)?;
        indices(Self::NAME, &ids)?;
        let [s] = ids.inner()[..] else {
            return Err(Mismatch::new(format!("`embedding` takes a sequence of indices, and got {}", ids.example())));
        };
        number(Self::NAME, &w)?;
        let [v, e] = w.inner()[..] else {
            return Err(Mismatch::new(format!("the table of `embedding` is a matrix, not {w}")));
        };
        parameter(Self::NAME, "table", &w, &[v, e])?;
        Ok(Type::batched(DType::F32, &[s, e]))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [ids, w] = take(inputs);
        let (ids, w) = (ids.ids(), w.r2());
        let &(v, e) = w.shape();
        let row = |&id: &i64| usize::try_from(id).ok().filter(|&id| id < v).unwrap_or(NOWHERE);
        let rows = ids.data.iter().map(row).collect();
        index_select(w.reshape_like(&(1, v, e)), rows, 0.0).reshape_like(&(ids.dims[0], ids.dims[1], e)).into()
    }

    fn flops(&self, _inputs: &[Type], _output: &Type) -> u64 {
        0
    }
}
