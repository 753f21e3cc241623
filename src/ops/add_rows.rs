//! `add_rows`: a row of a table added to each vector of a sequence.
//!
//! `y[n, t] = x[n, t] + w[t]`, for `x` of `[batch, t, e]` and a table `w` of `[v, e]` with `v ≥ t`: the positions of a sequence
//! that may be shorter than the table. With `row` every vector gets that one: `y[n, t] = x[n, t] + w[row]`, as the tokens of one
//! segment do. Rows that are not read have the gradient 0.

use super::operation::{Mismatch, Operation, batched, numbers, require};
use super::sound::index_select;
use super::value::{T2, Tape, Value, take};
use crate::base::{DType, Type};
use dfdx::prelude::{Axis, BroadcastTo, HasShape, ReshapeTo};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `w`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddRows {
    /// The row for every vector; without it each vector gets the row of its place.
    pub row: Option<usize>,
}

impl Operation for AddRows {
    const NAME: &'static str = "add_rows";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x, w] = numbers(Self::NAME, inputs)?;
        let [tokens, width] = batched(Self::NAME, "a sequence of vectors, f32[tokens, width]", &x)?;
        let table = (!w.is_batched() && w.rank() == 2).then(|| w.inner());
        let Some(rows) = table.filter(|dims| dims[1] == width).map(|dims| dims[0]) else {
            let want = Type::fixed(DType::F32, &[tokens, width]);
            return Err(Mismatch::new(format!("the table of `{}` is {want} or longer here, and got {w}", Self::NAME)));
        };
        let needed = self.row.map_or(tokens, |row| row.saturating_add(1));
        require(needed <= rows, || format!("`{}` needs {needed} rows, and the table has {rows}", Self::NAME))?;
        Ok(x)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let [x, w] = take(inputs);
        let w = w.r2();
        let &(rows, width) = w.shape();
        let index = (0..dims[1]).map(|t| self.row.unwrap_or(t)).collect();
        let added = index_select(w.reshape_like(&(1, rows, width)), index, 0.0).reshape_like(&(dims[1] * width,));
        let x = x.rows();
        let shape = *x.shape();
        let sum: T2<T> = x + added.broadcast_like::<_, Axis<0>>(&shape);
        Value::shaped(sum, &dims)
    }
}
