//! `attention`: each token gathers from the tokens whose keys match its query.
//!
//! Per head of width `d = e / heads`, `y = softmax(q · kᵀ / √d) · v`, with `q` of `[batch, s, e]` and `k`, `v` of
//! `[batch, t, e]`; the heads lie side by side in the last axis. A mask of `[batch, t]` is 1 where a key may be seen
//! and 0 where it is padding. Where every key is padding the result is 0, with no gradient. The mask is data: it has no
//! gradient. Vaswani et al. 2017.

use super::operation::{Mismatch, Operation, batched, number, require, same, sizes};
use super::sound::softmax;
use super::value::{T4, Tape, Value};
use crate::base::{DType, Type};
use dfdx::prelude::{Axes2, Axes4, Axis, BroadcastTo, HasShape, PermuteTo, ReshapeTo, TryMatMul};
use serde::{Deserialize, Serialize};

/// Added to the scores of hidden keys: beside it every score vanishes, and its power is exactly 0.
const HIDDEN: f32 = -1e30;

/// Inputs: `q`, `k`, `v`, and perhaps a mask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    pub heads: usize,
}

impl Operation for Attention {
    const NAME: &'static str = "attention";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        require((3..=4).contains(&inputs.len()), || {
            format!("`attention` takes queries, keys, values and perhaps a mask, and got {} inputs", inputs.len())
        })?;
        let (q, k, v) = (&inputs[0], &inputs[1], &inputs[2]);
        let [_, e] = batched(Self::NAME, "a sequence of vectors, f32[tokens, width]", q)?;
        let [t, width] = batched(Self::NAME, "a sequence of vectors, f32[tokens, width]", k)?;
        require(width == e, || format!("`attention` of width {e} got the keys {}", k.example()))?;
        number(Self::NAME, v)?;
        same(Self::NAME, "value", v, k)?;
        sizes(Self::NAME, "heads", &[self.heads], 1)?;
        require(e % self.heads == 0, || format!("{} heads do not divide the width {e} of `attention`", self.heads))?;
        if let Some(mask) = inputs.get(3) {
            same(Self::NAME, "mask", mask, &Type::batched(DType::F32, &[t]))?;
        }
        Ok(q.clone())
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let mut inputs = inputs.into_iter();
        let mut next = || inputs.next().expect("the signature counted the inputs");
        let (q, k, v) = (next().r3(), next().r3(), next().r3());
        let (&(batch, s, e), &(_, t, _)) = (q.shape(), k.shape());
        let (heads, d) = (self.heads, e / self.heads);
        let q: T4<T> = q.reshape_like(&(batch, s, heads, d)).permute::<_, Axes4<0, 2, 1, 3>>();
        let k: T4<T> = k.reshape_like(&(batch, t, heads, d)).permute::<_, Axes4<0, 2, 3, 1>>();
        let v: T4<T> = v.reshape_like(&(batch, t, heads, d)).permute::<_, Axes4<0, 2, 1, 3>>();
        let scores = q.matmul(k) / (d as f32).sqrt();
        let weights = match inputs.next() {
            None => softmax::<Axis<3>, _, _>(scores),
            Some(mask) => {
                let shape = (batch, heads, s, t);
                let keep = mask.constant().r2();
                let hidden = (keep.clone() - 1.0) * -HIDDEN;
                let weights = softmax::<Axis<3>, _, _>(scores + hidden.broadcast_like::<_, Axes2<1, 2>>(&shape));
                weights * keep.broadcast_like::<_, Axes2<1, 2>>(&shape)
            }
        };
        weights.matmul(v).permute::<_, Axes4<0, 2, 1, 3>>().reshape_like(&(batch, s, e)).into()
    }

    fn flops(&self, inputs: &[Type], output: &Type) -> u64 {
        let (tokens, keys) = (inputs[0].inner()[0] as u64, inputs[1].inner()[0] as u64);
        4 * output.elements(1) as u64 * keys + 5 * self.heads as u64 * tokens * keys
    }
}
