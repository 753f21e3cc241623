//! `avg_pool2d`: the mean of each window.
//!
//! `x` of `[batch, C, H, W]`. Padding counts as zeros when `count_padding` is true, and not at all otherwise, as
//! PyTorch's `count_include_pad` and TensorFlow's `SAME` have it.

use super::operation::{Maps, Mismatch, Operation};
use super::value::{Tape, Value, take};
use super::window::{Window, resample};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AvgPool2d {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Top, bottom, left, right.
    pub padding: [usize; 4],
    pub count_padding: bool,
}

impl AvgPool2d {
    fn window(&self) -> Window {
        Window { kernel: self.kernel, stride: self.stride, padding: self.padding, dilation: [1, 1] }
    }
}

impl Operation for AvgPool2d {
    const NAME: &'static str = "avg_pool2d";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        self.window().pool(Self::NAME, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let dims = x.dims();
        let size = [dims[2], dims[3]];
        let mean = |pixels: Vec<usize>| {
            let counted = if self.count_padding { self.kernel[0] * self.kernel[1] } else { pixels.len() };
            pixels.into_iter().map(|pixel| (pixel, 1.0 / counted as f32)).collect()
        };
        let window = self.window();
        resample(x, window.output(size), |size| window.positions(size).into_iter().map(mean).collect())
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        output.elements(1) as u64 * (self.kernel[0] * self.kernel[1]) as u64
    }
}
