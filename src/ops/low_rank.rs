//! `low_rank`: a weight with a product of low rank added, `w' = w + scale · b · a` (Hu et al. 2021, arXiv 2106.09685).
//!
//! `w` is `[out, …]`, `a` is `[rank, …]` with the same sizes behind, and `b` is `[out, rank, 1, …]`; every weight is read as a matrix
//! of its first axis and the rest. A linear layer or a convolution in one group by `w'` is the sum of the one by `w` and of
//! `scale` times the one by `a` with the one by `b` behind it.

use super::operation::{Mismatch, Operation, attribute, numbers, parameter, require};
use super::value::{T2, Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::TryMatMul;
use serde::{Deserialize, Serialize};

/// Inputs: `w`, `a`, `b`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LowRank {
    pub scale: f64,
}

impl Operation for LowRank {
    const NAME: &'static str = "low_rank";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [w, a, b] = numbers(Self::NAME, inputs)?;
        let fixed = !w.is_batched() && !a.is_batched() && w.rank() >= 2 && a.rank() == w.rank();
        require(fixed, || format!("`low_rank` takes fixed weights of one rank, at least 2, and got {w} and {a}"))?;
        let (sizes, rank) = (w.inner(), a.inner()[0]);
        parameter(Self::NAME, "first factor", &a, &[&[rank], &sizes[1..]].concat())?;
        parameter(Self::NAME, "second factor", &b, &[&[sizes[0], rank][..], &vec![1; sizes.len() - 2]].concat())?;
        attribute(Self::NAME, "scale", self.scale, "a finite number", true)?;
        Ok(w)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let dims = inputs[0].dims();
        let [w, a, b] = take(inputs).map(Value::rows);
        let product: T2<T> = b.matmul(a) * self.scale as f32;
        Value::shaped(w + product, &dims)
    }

    fn flops(&self, inputs: &[Type], output: &Type) -> u64 {
        output.elements(1) as u64 * (2 * inputs[1].inner()[0] as u64 + 2)
    }
}
