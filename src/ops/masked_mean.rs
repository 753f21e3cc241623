//! `masked_mean`: the mean of the vectors of a sequence that are not padding.
//!
//! `y[n] = Σ_s m[n, s] · x[n, s] / Σ_s m[n, s]`, with `x` of `[batch, s, e]` and the mask `m` of `[batch, s]`, 1 or 0.
//! A sequence of padding alone gives zeros. The mask is data: it has no gradient.

use super::operation::{Mismatch, Operation, batched, numbers, same};
use super::value::{T3, Tape, Value, take};
use crate::base::{DType, Type};
use dfdx::prelude::{Axis, BroadcastTo, HasShape, NoneTape, SumTo};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `mask`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskedMean {}

impl Operation for MaskedMean {
    const NAME: &'static str = "masked_mean";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x, mask] = numbers(Self::NAME, inputs)?;
        let [s, e] = batched(Self::NAME, "a sequence of vectors, f32[tokens, width]", &x)?;
        same(Self::NAME, "mask", &mask, &Type::batched(DType::F32, &[s]))?;
        Ok(x.with_inner(&[e]))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x, mask] = take(inputs);
        let (x, dims) = (x.r3(), mask.dims());
        let shares = |row: &[f32]| {
            let total: f32 = row.iter().sum();
            row.iter().map(|m| if total > 0.0 { m / total } else { 0.0 }).collect::<Vec<_>>()
        };
        let shares = mask.to_vec().chunks(dims[1]).flat_map(shares).collect();
        let shares = Value::<NoneTape>::from_vec(shares, &dims).r2();
        let shape = *x.shape();
        let weighted: T3<T> = x * shares.broadcast_like::<_, Axis<2>>(&shape);
        weighted.sum::<_, Axis<1>>().into()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        2 * inputs[0].elements(1) as u64
    }
}
