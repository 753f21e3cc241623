//! `conv2d`: a filter bank that slides over an image.
//!
//! `y[n, o, p] = Σ_{c, k} w[o, c, k] · x[n, c, pixel(p, k)] + b[o]` as a cross-correlation, as in PyTorch: `x` of
//! `[batch, C, H, W]`, `w` of `[O, C / groups, kh, kw]`, `b` of `[O]`; output group `g` reads input group `g` only. The
//! sum is one matrix product per group over the unfolded image, and its gradient dfdx's. With a group per channel (a
//! depthwise convolution) those products would have one row, so that sum and its two gradients are written out.

use super::epilogue::Epilogue;
use super::operation::{Maps, Mismatch, Operation, count, image, parameter, require, sizes};
use super::precision::Precision;
use super::sound::{NOWHERE, index_select};
use super::value::{T2, T3, T4, Tape, Value};
use super::window::Window;
use crate::base::Type;
use dfdx::prelude::{Axes3, Axis, BroadcastTo, HasShape, PutTape, ReshapeTo, SplitTape, TensorFromVec, TryMatMul};
use serde::{Deserialize, Serialize};

/// Inputs: `x`, `w`, `b` when `bias` is true, and the residual of the epilogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv2d {
    pub stride: [usize; 2],
    /// Top, bottom, left, right, so that TensorFlow's `SAME` can be said.
    pub padding: [usize; 4],
    pub dilation: [usize; 2],
    pub groups: usize,
    pub bias: bool,
    #[serde(default, skip_serializing_if = "Epilogue::is_empty")]
    pub epilogue: Epilogue,
    /// Of a convolution in one group.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl Conv2d {
    fn window(&self, kernel: [usize; 2]) -> Window {
        Window { kernel, stride: self.stride, padding: self.padding, dilation: self.dilation }
    }
}

impl Operation for Conv2d {
    const NAME: &'static str = "conv2d";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        self.epilogue.signature(Self::NAME, inputs, |inputs| self.filtered_signature(inputs))
    }

    fn passes(&self, i: usize, inputs: &[Type]) -> bool {
        self.epilogue.passes(i, inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        self.epilogue.define(inputs, |inputs| self.filtered(inputs))
    }

    fn differentiates(&self, input: usize) -> bool {
        input > 1 || self.precision.is_f32()
    }

    fn maps(&self, _inputs: &[Type]) -> Maps {
        Maps::ChannelsLast
    }

    fn flops(&self, inputs: &[Type], output: &Type) -> u64 {
        let taps: usize = inputs[1].inner().iter().skip(1).product();
        output.elements(1) as u64 * (2 * taps as u64 + u64::from(self.bias))
    }
}

impl Conv2d {
    /// The type of the result without its epilogue.
    fn filtered_signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let (x, w) = image_and_filters(Self::NAME, inputs, self.bias)?;
        let ([c, h, width], [out, per_group, kh, kw], g) = (x, w, self.groups);
        sizes(Self::NAME, "groups", &[g], 1)?;
        require(c % g == 0 && out % g == 0, || {
            format!("{g} groups do not divide the {c} input and {out} output channels of `conv2d`")
        })?;
        require(per_group == c / g, || {
            format!("`conv2d` of {} input channels got {}", per_group * g, inputs[0].example())
        })?;
        self.window([kh, kw]).check(Self::NAME, [h, width])?;
        self.precision.check(Self::NAME, per_group * kh * kw)?;
        require(g == 1 || self.precision.is_f32(), || format!("`conv2d` in {g} groups is in f32 only"))?;
        if self.bias {
            parameter(Self::NAME, "bias", &inputs[2], &[out])?;
        }
        let [oh, ow] = self.window([kh, kw]).output([h, width]);
        Ok(inputs[0].with_inner(&[out, oh, ow]))
    }

    fn filtered<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let mut inputs = inputs.into_iter();
        let mut next = || inputs.next().expect("the signature counted the inputs");
        let (x, w) = (next().r4(), next().r4());
        let (&(batch, c, h, width), &(out, per_group, kh, kw)) = (x.shape(), w.shape());
        let window = self.window([kh, kw]);
        let ([oh, ow], g, taps) = (window.output([h, width]), self.groups, per_group * kh * kw);
        let pixels = window.pixels([h, width]);
        let y: T4<T> = if !self.precision.is_f32() {
            self.rounded(&x.into(), &w.into(), &pixels, [oh, ow]).r4()
        } else if g == c && g == out {
            let (x, w) = (x.reshape_like(&(batch, c, h * width)), w.reshape_like(&(c, taps)));
            depthwise(x, w, pixels).reshape_like(&(batch, out, oh, ow))
        } else {
            let unfolded = index_select(x.reshape_like(&(batch * c, h * width, 1)), pixels, 0.0);
            let w = w.reshape_like(&(g, out / g, taps));
            let w: T4<T> = w.broadcast_like::<_, Axis<0>>(&(batch, g, out / g, taps));
            w.matmul(unfolded.reshape_like(&(batch, g, taps, oh * ow))).reshape_like(&(batch, out, oh, ow))
        };
        match self.bias.then(|| next().r1()) {
            Some(b) => (y + b.broadcast_like::<_, Axes3<0, 2, 3>>(&(batch, out, oh, ow))).into(),
            None => y.into(),
        }
    }

    /// The convolution in low precision, as one product of unfolded rows, without a history.
    fn rounded<T: Tape>(&self, x: &Value<T>, w: &Value<T>, pixels: &[usize], [oh, ow]: [usize; 2]) -> Value<T> {
        let (dims, filters, positions) = (x.dims(), w.dims(), oh * ow);
        let (planes, samples) = (dims[2] * dims[3], pixels.len() / positions);
        let (xs, mut rows) = (x.to_vec(), vec![]);
        for (image, position) in (0..dims[0]).flat_map(|n| (0..positions).map(move |p| (n, p))) {
            for (c, k) in (0..dims[1]).flat_map(|c| (0..samples).map(move |k| (c, k))) {
                let pixel = pixels[k * positions + position];
                rows.push(if pixel == NOWHERE { 0.0 } else { xs[(image * dims[1] + c) * planes + pixel] });
            }
        }
        let products = self.precision.product(&rows, &w.to_vec(), dims[1] * samples);
        let place = |i: usize| (i / positions / filters[0] * positions + i % positions, i / positions % filters[0]);
        let y = (0..products.len()).map(place).map(|(row, filter)| products[row * filters[0] + filter]);
        Value::from_vec(y.collect(), &[dims[0], filters[0], oh, ow])
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

/// `y[n, c, p] = Σ_k w[c, k] · x[n, c, pixels[k, p]]`, with `x` of `[batch, C, H · W]` and `w` of `[C, taps]`.
fn depthwise<T: Tape>(x: T3<T>, w: T2<T>, pixels: Vec<usize>) -> T3<T> {
    let (x, tape) = x.split_tape();
    let (w, w_tape) = w.split_tape();
    let mut tape = tape.merge(w_tape);
    let (&(batch, channels, places), taps) = (x.shape(), w.shape().1);
    let positions = pixels.len() / taps;
    // The taps that fall on the image: tap, position, pixel.
    let reads: Vec<_> = pixels
        .iter()
        .enumerate()
        .filter(|(_, pixel)| **pixel != NOWHERE)
        .map(|(i, &pixel)| (i / positions, i % positions, pixel))
        .collect();
    let (xs, ws) = (x.as_vec(), w.as_vec());
    let mut ys = vec![0.0; batch * channels * positions];
    for (plane, (x, y)) in xs.chunks(places).zip(ys.chunks_mut(positions)).enumerate() {
        let w = &ws[plane % channels * taps..][..taps];
        reads.iter().for_each(|&(k, p, pixel)| y[p] += w[k] * x[pixel]);
    }
    let y = x.device().tensor_from_vec(ys, (batch, channels, positions));
    let (x_ghost, w_ghost, y_ghost) = (x.ghost(), w.ghost(), y.ghost());
    tape.add_backward_op(move |gradients| {
        let gy = std::mem::take(&mut **gradients.get_or_alloc_mut(&y_ghost)?);
        let mut gw = std::mem::take(&mut **gradients.get_or_alloc_mut(&w_ghost)?);
        let gx = gradients.get_or_alloc_mut(&x_ghost)?;
        for (plane, gy) in gy.chunks(positions).enumerate() {
            let (x, gx) = (&xs[plane * places..][..places], &mut gx[plane * places..][..places]);
            let at = plane % channels * taps..(plane % channels + 1) * taps;
            let (w, gw) = (&ws[at.clone()], &mut gw[at]);
            for &(k, p, pixel) in &reads {
                gx[pixel] += w[k] * gy[p];
                gw[k] += x[pixel] * gy[p];
            }
        }
        **gradients.get_or_alloc_mut(&w_ghost)? = gw;
        **gradients.get_or_alloc_mut(&y_ghost)? = gy;
        Ok(())
    });
    y.put_tape(tape)
}
