//! `conv_transpose2d`: the transpose of a convolution, which makes an image larger.
//!
//! Every input pixel adds its stamp, weighted by `w`, at `stride` times its place:
//!
//! `y[n, o, q] = Σ_{c, k, p} x[n, c, p] · w[c, o, k] + b[o]` over all `p · stride + k · dilation − padding = q`,
//!
//! with `x` of `[batch, C, H, W]`, `w` of `[C, O / groups, kh, kw]` and `b` of `[O]`, as in PyTorch. Each result size is
//! `(size − 1) · stride − 2 · padding + dilation · (k − 1) + output_padding + 1`. The sum is computed per output pixel,
//! over the input pixels that reach it. Gradients are dfdx's.

use super::conv2d::image_and_filters;
use super::operation::{Maps, Mismatch, Operation, parameter, require, sizes};
use super::sound::{NOWHERE, index_select};
use super::value::{T4, Tape, Value};
use crate::base::Type;
use dfdx::prelude::{Axes3, Axes4, Axis, BroadcastTo, HasShape, PermuteTo, ReshapeTo, TryMatMul};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `w`, and `b` when `bias` is true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConvTranspose2d {
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub output_padding: [usize; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
    pub bias: bool,
}

impl ConvTranspose2d {
    /// The result's height and width; `None` when the padding takes all of it away.
    fn output(&self, size: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
        let full = [0, 1]
            .map(|a| (size[a] - 1) * self.stride[a] + self.dilation[a] * (kernel[a] - 1) + self.output_padding[a] + 1);
        let output = [0, 1].map(|a| full[a].saturating_sub(2 * self.padding[a]));
        (!output.contains(&0)).then_some(output)
    }

    /// For each sample of the kernel and each output pixel, in that order, the input pixel that reaches it.
    fn pixels(&self, [h, w]: [usize; 2], kernel: [usize; 2], [oh, ow]: [usize; 2]) -> Vec<usize> {
        let source = |o: usize, k: usize, a: usize, size: usize| {
            let reach = (o + self.padding[a]).checked_sub(k * self.dilation[a])?;
            (reach % self.stride[a] == 0 && reach / self.stride[a] < size).then_some(reach / self.stride[a])
        };
        let mut pixels = Vec::with_capacity(kernel[0] * kernel[1] * oh * ow);
        for ky in 0..kernel[0] {
            for kx in 0..kernel[1] {
                for oy in 0..oh {
                    let y = source(oy, ky, 0, h);
                    pixels.extend((0..ow).map(|ox| match (y, source(ox, kx, 1, w)) {
                        (Some(y), Some(x)) => y * w + x,
                        _ => NOWHERE,
                    }));
                }
            }
        }
        pixels
    }
}

impl Operation for ConvTranspose2d {
    const NAME: &'static str = "conv_transpose2d";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let ([c, h, w], [wc, per_group, kh, kw]) = image_and_filters(Self::NAME, inputs, self.bias)?;
        let g = self.groups;
        for (attribute, value) in [("stride", self.stride), ("dilation", self.dilation)] {
            sizes(Self::NAME, attribute, &value, 1)?;
        }
        sizes(Self::NAME, "padding", &self.padding, 0)?;
        sizes(Self::NAME, "groups", &[g], 1)?;
        require((0..2).all(|a| self.output_padding[a] < self.stride[a].max(self.dilation[a])), || {
            format!(
                "the output padding {:?} of `{}` must be smaller than its stride {:?} or dilation {:?}",
                self.output_padding,
                Self::NAME,
                self.stride,
                self.dilation
            )
        })?;
        require(wc == c, || format!("`{}` of {wc} input channels got {}", Self::NAME, inputs[0].example()))?;
        require(c % g == 0, || format!("{g} groups do not divide the {c} input channels of `{}`", Self::NAME))?;
        let output = self.output([h, w], [kh, kw]);
        let Some([oh, ow]) = output else {
            return Err(Mismatch::new(format!(
                "the padding {:?} of `{}` takes all pixels away",
                self.padding,
                Self::NAME
            )));
        };
        if self.bias {
            parameter(Self::NAME, "bias", &inputs[2], &[per_group * g])?;
        }
        Ok(inputs[0].with_inner(&[per_group * g, oh, ow]))
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let mut inputs = inputs.into_iter();
        let mut next = || inputs.next().expect("the signature counted the inputs");
        let (x, w) = (next().r4(), next().r4());
        let (&(batch, c, h, width), &(_, per_group, kh, kw)) = (x.shape(), w.shape());
        let [oh, ow] = self.output([h, width], [kh, kw]).expect("the signature computed it");
        let (g, taps) = (self.groups, c / self.groups * kh * kw);
        let pixels = self.pixels([h, width], [kh, kw], [oh, ow]);
        let pixels = index_select(x.reshape_like(&(batch * c, h * width, 1)), pixels, 0.0);
        let pixels: T4<T> = pixels.reshape_like(&(batch, g, taps, oh * ow));
        let w: T4<T> = w.reshape_like(&(g, c / g, per_group, kh * kw)).permute::<_, Axes4<0, 2, 1, 3>>();
        let w = w.reshape_like(&(g, per_group, taps));
        let w: T4<T> = w.broadcast_like::<_, Axis<0>>(&(batch, g, per_group, taps));
        let y: T4<T> = w.matmul(pixels).reshape_like(&(batch, g * per_group, oh, ow));
        match self.bias.then(|| next().r1()) {
            Some(b) => (y + b.broadcast_like::<_, Axes3<0, 2, 3>>(&(batch, g * per_group, oh, ow))).into(),
            None => y.into(),
        }
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, inputs: &[Type], output: &Type) -> u64 {
        let stamp: usize = inputs[1].inner().iter().skip(1).product();
        inputs[0].elements(1) as u64 * 2 * stamp as u64 + output.elements(1) as u64 * u64::from(self.bias)
    }
}
