//! `conv2d`: a filter bank that slides over an image.
//!
//! `y[n, o, p] = Σ_{c, k} w[o, c, k] · x[n, c, pixel(p, k)] + b[o]` as a cross-correlation, as in PyTorch: `x` of
//! `[batch, C, H, W]`, `w` of `[O, C / groups, kh, kw]`, `b` of `[O]`; output group `g` reads input group `g` only. The sum is
//! one matrix product per group over the unfolded image. With a group per channel (a depthwise convolution) those products
//! would have one row, so the unfolded image is multiplied and summed instead. Gradients are dfdx's.

use super::operation::{Mismatch, Operation, count, image, parameter, require};
use super::sound::index_select;
use super::value::{T4, Tape, Value};
use super::window::Window;
use crate::base::Type;
use dfdx::prelude::{Axes2, Axes3, Axis, BroadcastTo, HasShape, ReshapeTo, SumTo, TryMatMul};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `w`, and `b` when `bias` is true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv2d {
    pub stride: [usize; 2],
    /// Top, bottom, left, right, so that TensorFlow's `SAME` can be said.
    pub padding: [usize; 4],
    pub dilation: [usize; 2],
    pub groups: usize,
    pub bias: bool,
}

impl Conv2d {
    fn window(&self, kernel: [usize; 2]) -> Window {
        Window { kernel, stride: self.stride, padding: self.padding, dilation: self.dilation }
    }
}

impl Operation for Conv2d {
    const NAME: &'static str = "conv2d";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let (x, w) = image_and_filters(Self::NAME, inputs, self.bias)?;
        let ([c, h, width], [out, per_group, kh, kw], g) = (x, w, self.groups);
        require(g > 0 && c % g == 0 && out % g == 0, || {
            format!("{g} groups do not divide the {c} input and {out} output channels of `conv2d`")
        })?;
        require(per_group == c / g, || {
            format!("`conv2d` of {} input channels got {}", per_group * g, inputs[0].example())
        })?;
        self.window([kh, kw]).check(Self::NAME, [h, width])?;
        if self.bias {
            parameter(Self::NAME, "bias", &inputs[2], &[out])?;
        }
        let [oh, ow] = self.window([kh, kw]).output([h, width]);
        Ok(inputs[0].with_inner(&[out, oh, ow]))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let mut inputs = inputs.into_iter();
        let mut next = || inputs.next().expect("the signature counted the inputs");
        let (x, w) = (next().r4(), next().r4());
        let (&(batch, c, h, width), &(out, per_group, kh, kw)) = (x.shape(), w.shape());
        let window = self.window([kh, kw]);
        let ([oh, ow], g, taps) = (window.output([h, width]), self.groups, per_group * kh * kw);
        let pixels = index_select(x.reshape_like(&(batch * c, h * width, 1)), window.pixels([h, width]), 0.0);
        let pixels: T4<T> = pixels.reshape_like(&(batch, g, taps, oh * ow));
        let y: T4<T> = if g == c && g == out {
            let w = w.reshape_like(&(c, kh * kw)).broadcast_like::<_, Axes2<0, 3>>(pixels.shape());
            (pixels * w).sum::<_, Axis<2>>().reshape_like(&(batch, out, oh, ow))
        } else {
            let w = w.reshape_like(&(g, out / g, taps));
            let w: T4<T> = w.broadcast_like::<_, Axis<0>>(&(batch, g, out / g, taps));
            w.matmul(pixels).reshape_like(&(batch, out, oh, ow))
        };
        match self.bias.then(|| next().r1()) {
            Some(b) => (y + b.broadcast_like::<_, Axes3<0, 2, 3>>(&(batch, out, oh, ow))).into(),
            None => y.into(),
        }
    }

    fn flops(&self, inputs: &[Type], output: &Type) -> u64 {
        let taps: usize = inputs[1].inner().iter().skip(1).product();
        output.elements(1) as u64 * (2 * taps as u64 + u64::from(self.bias))
    }
}

/// The sizes of an image and of its four-axis weight, when the inputs are these and perhaps a bias.
pub fn image_and_filters(name: &str, inputs: &[Type], bias: bool) -> Result<([usize; 3], [usize; 4]), Mismatch> {
    let wanted = 2 + usize::from(bias);
    require(inputs.len() == wanted, || format!("`{name}` takes {}, and got {}", count(wanted, "input"), inputs.len()))?;
    let x = image(name, &inputs[0])?;
    let w = <[usize; 4]>::try_from(inputs[1].inner())
        .map_err(|_| Mismatch::new(format!("the weight of `{name}` has 4 axes, and got {}", inputs[1])))?;
    parameter(name, "weight", &inputs[1], &w)?;
    Ok((x, w))
}
