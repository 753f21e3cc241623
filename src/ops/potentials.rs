//! `potentials`: the scores of a chain of labels, from those of each token and those of what follows what.
//!
//! For `x` of `[batch, tokens, n]`, transitions `w` of `[n, n]`, and `start` and `end` of `[n]` the result is
//! `[batch, tokens, n · (n + 2)]`; as `[n + 2, n]` at each token, its rows are
//!
//! - `y[p, c] = x[c] + w[p, c]` for the labels `p`,
//! - `y[n, c] = x[c] + start[c]`,
//! - `y[n + 1, c] = end[c]`,
//!
//! as [`chain`](super::chain) reads them. So the loss of a chain needs nothing but this one value, and is exact.

use super::chain;
use super::operation::{Mismatch, Operation, batched, numbers, parameter};
use super::sound::linear_map;
use super::value::{T1, T2, Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axis, BroadcastTo, HasShape, ReshapeTo};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `w`, `start`, `end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Potentials {}

impl Operation for Potentials {
    const NAME: &'static str = "potentials";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x, w, start, end] = numbers(Self::NAME, inputs)?;
        let [tokens, n] = batched(Self::NAME, "a score for each label of each token, f32[tokens, labels]", &x)?;
        parameter(Self::NAME, "table of transitions", &w, &[n, n])?;
        parameter(Self::NAME, "start", &start, &[n])?;
        parameter(Self::NAME, "end", &end, &[n])?;
        Ok(x.with_inner(&[tokens, chain::width(n)]))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let [x, w, start, end] = take(inputs);
        let (n, width) = (dims[2], chain::width(dims[2]));
        // What stands at each of the `n + 2` times `n` places: a row of the table that is spread, or nothing.
        let spread = |from: &dyn Fn(usize, usize) -> Option<usize>| -> Vec<Vec<(usize, f32)>> {
            (0..width).map(|i| from(i / n, i % n).map(|at| (at, 1.0)).into_iter().collect()).collect()
        };
        let own: T2<T> =
            linear_map(x.flat().reshape_like(&(dims[0] * dims[1], n)), spread(&|row, c| (row <= n).then_some(c)));
        let shared = |table: Value<T>, from: &dyn Fn(usize, usize) -> Option<usize>| -> T1<T> {
            let table = table.flat();
            let len = table.shape().0;
            linear_map(table.reshape_like(&(1, len)), spread(from)).reshape_like(&(width,))
        };
        let between = shared(w, &|row, c| (row < n).then_some(row * n + c));
        let first = shared(start, &|row, c| (row == n).then_some(c));
        let last = shared(end, &|row, c| (row == n + 1).then_some(c));
        let shape = *own.shape();
        let sum: T2<T> = own + (between + first + last).broadcast_like::<_, Axis<0>>(&shape);
        Value::shaped(sum, &[dims[0], dims[1], width])
    }
}
