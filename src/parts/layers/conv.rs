//! `conv` and `depthwise`: two-dimensional convolutions.

use super::Layer;
use super::linear::{BIAS, has_bias};
use super::spatial::{PADDING, PAIR, feature_map, padding, pair, window_fits};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops::{self, Mismatch};
use crate::parts::adapters::lora;
use crate::parts::cell::{Cell, Fault, fan_in};

pub struct Conv;
pub struct Depthwise;

static CONV: Signature = Signature {
    name: "conv",
    kind: PartKind::Layer,
    summary: "convolution of a feature map: `[in, h, w]` to `[out, h', w']`",
    params: &[
        Param::required("out", Kind::Count, "channels of the result"),
        Param::required("kernel", PAIR, "size of the window, or `[height, width]`"),
        Param::with("stride", PAIR, "1", "step of the window"),
        PADDING,
        Param::with("dilation", PAIR, "1", "distance of the window's points"),
        Param::with("groups", Kind::Count, "1", "parts of the channels that do not see each other"),
        BIAS,
    ],
};

static DEPTHWISE: Signature = Signature {
    name: "depthwise",
    kind: PartKind::Layer,
    summary: "convolution of each channel by itself: `[c, h, w]` to `[c, h', w']`",
    params: &[
        Param::required("kernel", PAIR, "size of the window, or `[height, width]`"),
        Param::with("stride", PAIR, "1", "step of the window"),
        PADDING,
        Param::with("dilation", PAIR, "1", "distance of the window's points"),
        BIAS,
    ],
};

impl Layer for Conv {
    fn signature(&self) -> &'static Signature {
        &CONV
    }

    fn kind(&self) -> &'static str {
        "conv"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        convolve(cell, x, cell.args.size("out"), cell.args.size("groups"))
    }
}

impl Layer for Depthwise {
    fn signature(&self) -> &'static Signature {
        &DEPTHWISE
    }

    fn kind(&self) -> &'static str {
        "conv"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [channels, ..] = feature_map("depthwise", &cell.ty(x))?;
        convolve(cell, x, channels, channels)
    }
}

fn convolve(cell: &mut Cell<'_>, x: ValueId, out: usize, groups: usize) -> Result<ValueId, Fault> {
    let [channels, height, width] = feature_map("conv", &cell.ty(x))?;
    if !channels.is_multiple_of(groups) || !out.is_multiple_of(groups) {
        let message = format!("{groups} groups do not divide both {channels} input and {out} output channels");
        return Err(Mismatch::new(message).help("both numbers of channels are multiples of `groups`").into());
    }
    let (kernel, stride, dilation) =
        (pair(cell.args, "kernel")?, pair(cell.args, "stride")?, pair(cell.args, "dilation")?);
    let padding = padding(cell.args, [height, width], kernel, stride, dilation);
    window_fits("conv", [height, width], kernel, dilation, padding)?;
    let bias = has_bias(cell);
    let fan = (channels / groups).saturating_mul(kernel[0]).saturating_mul(kernel[1]);
    let weight = cell.weight("weight", &[out, channels / groups, kernel[0], kernel[1]], fan_in(fan));
    let bias = bias.then(|| cell.weight("bias", &[out], fan_in(fan)));
    let (epilogue, precision) = Default::default();
    let op = ops::conv2d::Conv2d { stride, padding, dilation, groups, bias: bias.is_some(), epilogue, precision };
    product(cell, op, x, weight, bias)
}

/// The convolution of `x`; adapted where the layer is, and has one group.
pub fn product(
    cell: &mut Cell<'_>,
    op: ops::conv2d::Conv2d,
    x: ValueId,
    weight: ValueId,
    bias: Option<ValueId>,
) -> Result<ValueId, Fault> {
    let (weight, branch) = if op.groups == 1 { lora::adapt(cell, "", x, weight)? } else { (weight, None) };
    let inputs: Vec<ValueId> = [x, weight].into_iter().chain(bias).collect();
    let y = cell.op(op.clone(), &inputs)?;
    let Some(branch) = branch else { return Ok(y) };
    let low = cell.op(ops::conv2d::Conv2d { bias: false, ..op.clone() }, &[branch.x, branch.a])?;
    let pointwise = ops::conv2d::Conv2d { stride: [1; 2], padding: [0; 4], dilation: [1; 2], bias: false, ..op };
    let high = cell.op(pointwise, &[low, branch.b])?;
    cell.op(ops::add::Add {}, &[y, high])
}
