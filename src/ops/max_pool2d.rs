//! `max_pool2d`: the largest number of each window.
//!
//! `x` of `[batch, C, H, W]`; padding never wins. The gradient goes to the number that won, the first in row-major
//! order of the window when several are equal, as in PyTorch; a NaN wins over every number.

use super::operation::{Maps, Mismatch, Operation};
use super::sound::pick;
use super::value::{Tape, Value, take};
use super::window::Window;
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Inputs: `x`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxPool2d {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Top, bottom, left, right.
    pub padding: [usize; 4],
}

impl MaxPool2d {
    fn window(&self) -> Window {
        Window { kernel: self.kernel, stride: self.stride, padding: self.padding, dilation: [1, 1] }
    }
}

impl Operation for MaxPool2d {
    const NAME: &'static str = "max_pool2d";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        self.window().pool(Self::NAME, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        let (dims, numbers) = (x.dims(), x.to_vec());
        let size = [dims[2], dims[3]];
        let ([oh, ow], positions) = (self.window().output(size), self.window().positions(size));
        let winner = |base: usize, pixels: &Vec<usize>| {
            let places = pixels.iter().map(|pixel| base + pixel);
            places.reduce(|best, i| if numbers[i] > numbers[best] || numbers[i].is_nan() { i } else { best })
        };
        let winners = (0..dims[0] * dims[1]).flat_map(|plane| {
            let base = plane * size[0] * size[1];
            positions.iter().map(move |pixels| winner(base, pixels).expect("every window overlaps the image"))
        });
        let winners = winners.collect();
        Value::shaped(pick(x.flat(), winners), &[dims[0], dims[1], oh, ow])
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        output.elements(1) as u64 * (self.kernel[0] * self.kernel[1]) as u64
    }
}
