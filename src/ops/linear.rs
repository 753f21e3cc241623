//! `linear`: a matrix product and a bias, over the last axis.
//!
//! `y[.., o] = Σ_i x[.., i] · w[o, i] + b[o]`, with `x` of `[batch, in]` or `[batch, tokens, in]`, `w` of `[out, in]`
//! as PyTorch stores it, and `b` of `[out]`. The gradient is the matrix calculus of the same formula, by dfdx's
//! `matmul`.

use super::epilogue::Epilogue;
use super::operation::{Mismatch, Operation, count, number, parameter, require};
use super::precision::Precision;
use super::value::{Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::{Axes2, Axis, BroadcastTo, HasShape, PermuteTo, TryMatMul};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `w`, `b` when `bias` is true, and the residual of the epilogue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    pub bias: bool,
    #[serde(default, skip_serializing_if = "Epilogue::is_empty")]
    pub epilogue: Epilogue,
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl Operation for Linear {
    const NAME: &'static str = "linear";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        self.epilogue.signature(Self::NAME, inputs, |inputs| self.product_signature(inputs))
    }

    fn passes(&self, i: usize, inputs: &[Type]) -> bool {
        self.epilogue.passes(i, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        self.epilogue.define(inputs, |inputs| self.product(inputs))
    }

    fn differentiates(&self, input: usize) -> bool {
        input > 1 || self.precision.is_f32()
    }

    fn flops(&self, inputs: &[Type], output: &Type) -> u64 {
        let width = *inputs[0].inner().last().unwrap_or(&1) as u64;
        output.elements(1) as u64 * (2 * width + u64::from(self.bias))
    }
}

impl Linear {
    /// The type of the result without its epilogue.
    fn product_signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let wanted = 2 + usize::from(self.bias);
        require(inputs.len() == wanted, || {
            format!("`linear` takes {}, and got {}", count(wanted, "input"), inputs.len())
        })?;
        let (x, w) = (&inputs[0], &inputs[1]);
        number(Self::NAME, x)?;
        let mut inner = x.inner();
        if !x.is_batched() || inner.len() > 2 || inner.is_empty() {
            return Err(Mismatch::new(format!(
                "`linear` takes a vector or a sequence of vectors, and got {}",
                x.example()
            ))
            .help("put `global_avg_pool` or `flatten` before it"));
        }
        let [out, width] = w.inner()[..] else {
            return Err(Mismatch::new(format!("the weight of `linear` is a matrix, not {w}")));
        };
        parameter(Self::NAME, "weight", w, &[out, width])?;
        require(inner.last() == Some(&width), || format!("`linear` of {width} inputs got {}", x.example()))?;
        self.precision.check(Self::NAME, width)?;
        if self.bias {
            parameter(Self::NAME, "bias", &inputs[2], &[out])?;
        }
        *inner.last_mut().expect("rank was checked") = out;
        Ok(x.with_inner(&inner))
    }

    fn product<T: Tape>(&self, mut inputs: Vec<Value<T>>) -> Value<T> {
        let bias = self.bias.then(|| inputs.pop()).flatten().map(Value::r1);
        let [x, w] = take(inputs);
        let y = if self.precision.is_f32() { matmul(x, w) } else { self.rounded(&x, &w) };
        match (y, bias) {
            (Value::R2(y), Some(b)) => {
                let shape = *y.shape();
                (y + b.broadcast_like::<_, Axis<0>>(&shape)).into()
            }
            (Value::R3(y), Some(b)) => {
                let shape = *y.shape();
                (y + b.broadcast_like::<_, Axes2<0, 1>>(&shape)).into()
            }
            (y, _) => y,
        }
    }

    /// The product in low precision, without a history.
    fn rounded<T: Tape>(&self, x: &Value<T>, w: &Value<T>) -> Value<T> {
        let (mut dims, filters) = (x.dims(), w.dims());
        *dims.last_mut().expect("the signature asked for an axis") = filters[0];
        Value::from_vec(self.precision.product(&x.to_vec(), &w.to_vec(), filters[1]), &dims)
    }
}

fn matmul<T: Tape>(x: Value<T>, w: Value<T>) -> Value<T> {
    let w = w.r2().permute::<_, Axes2<1, 0>>();
    match x {
        Value::R2(x) => x.matmul(w).into(),
        x => x.r3().matmul(w).into(),
    }
}
