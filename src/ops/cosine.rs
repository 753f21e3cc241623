//! `cosine`: the mean of `1 − cos(x, y)` over the vectors of the rows whose label is present.
//!
//! `cos = x · y / (max(‖x‖, 10⁻⁸) · max(‖y‖, 10⁻⁸))`, with a vector of each row of `[batch, width]`, of each token of `[batch, tokens,
//! width]` and of each pixel of `[batch, channels, h, w]`, such as the normals of surfaces. A vector of which a true number is NaN does not
//! count. See
//! [`presence`](super::presence). Agrees with `1 − torch.nn.functional.cosine_similarity`.

use super::normalize_l2::unit;
use super::operation::{Mismatch, Operation};
use super::presence::{directions, nothing, regression};
use super::value::{T0, Tape, Value};
use crate::base::Type;
use dfdx::prelude::{HasShape, SumTo};
use serde::{Deserialize, Serialize};

/// Below this length a vector counts as having it.
const SHORTEST: f32 = 1e-8;

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cosine {}

impl Operation for Cosine {
    const NAME: &'static str = "cosine";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        regression(Self::NAME, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let Some((x, y)) = directions(inputs) else { return nothing() };
        let vectors = x.shape().0 as f32;
        let cosines: T0<T> = (unit(x, SHORTEST) * unit(y, SHORTEST)).sum();
        (cosines * (-1.0 / vectors) + 1.0).into()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        8 * inputs[0].elements(1) as u64
    }
}
