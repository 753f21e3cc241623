//! `adaptive_avg_pool2d`: means over windows chosen so that the result has a given size.
//!
//! `x` of `[batch, C, H, W]`. Row `i` of `n` averages the rows from `⌊i · H / n⌋` up to `⌈(i + 1) · H / n⌉`, and
//! columns alike, as in PyTorch.

use super::operation::{Maps, Mismatch, Operation};
use super::value::{Tape, Value, take};
use super::window::{resample, resized};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the result.
    pub size: [usize; 2],
}

impl Operation for AdaptiveAvgPool2d {
    const NAME: &'static str = "adaptive_avg_pool2d";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        resized(Self::NAME, inputs, self.size)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let [oh, ow] = self.size;
        let span = |i: usize, from: usize, to: usize| i * from / to..((i + 1) * from).div_ceil(to);
        resample(x, self.size, |[h, w]| {
            let window = |p: usize| {
                let (rows, columns) = (span(p / ow, h, oh), span(p % ow, w, ow));
                let weight = 1.0 / (rows.len() * columns.len()) as f32;
                rows.flat_map(|y| columns.clone().map(move |x| (y * w + x, weight))).collect()
            };
            (0..oh * ow).map(window).collect()
        })
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, inputs: &[Type], output: &Type) -> u64 {
        inputs[0].elements(1).max(output.elements(1)) as u64
    }
}
