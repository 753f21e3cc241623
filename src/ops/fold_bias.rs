//! `fold_bias`: the bias of a convolution or linear layer that the norm behind it is folded into.
//!
//! `b'[c] = (b[c] − m[c]) · γ[c] / √(v[c] + ε) + β[c]`, with `b` zero where the layer has none. The filters are scaled by
//! `scale_filters`.

use super::operation::{Mismatch, Operation, attribute, count, numbers, parameter, require};
use super::value::{T1, Tape, Value, take};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: `mean`, `var`, `gamma`, `beta`, and `b` when `bias` is true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldBias {
    pub bias: bool,
    pub epsilon: f64,
}

impl Operation for FoldBias {
    const NAME: &'static str = "fold_bias";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let wanted = 4 + usize::from(self.bias);
        require(inputs.len() == wanted, || {
            format!("`{}` takes {}, and got {}", Self::NAME, count(wanted, "input"), inputs.len())
        })?;
        let [mean] = numbers(Self::NAME, &inputs[..1])?;
        let &[channels] = mean.inner().as_slice() else {
            return Err(Mismatch::new(format!("the mean of `{}` has one axis, and got {mean}", Self::NAME)));
        };
        for (role, input) in ["mean", "variance", "gamma", "beta", "bias"].into_iter().zip(inputs) {
            parameter(Self::NAME, role, input, &[channels])?;
        }
        attribute(Self::NAME, "epsilon", self.epsilon, "above 0", self.epsilon > 0.0)?;
        Ok(mean)
    }

    fn define<T: Tape>(&self, mut inputs: Vec<Value<T>>) -> Value<T> {
        let bias = self.bias.then(|| inputs.pop()).flatten().map(Value::r1);
        let [mean, var, gamma, beta] = take(inputs);
        let scale: T1<T> = gamma.r1() / (var.r1() + self.epsilon as f32).sqrt();
        let centred = match bias {
            Some(bias) => bias - mean.r1(),
            None => -mean.r1(),
        };
        (centred * scale + beta.r1()).into()
    }
}
