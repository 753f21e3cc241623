//! `conv_transpose`: the transposed convolution, which enlarges a feature map.

use super::Layer;
use super::linear::has_bias;
use super::spatial::{PAIR, feature_map, pair};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault, fan_in};

pub struct ConvTranspose;

static SIGNATURE: Signature = Signature {
    name: "conv_transpose",
    kind: PartKind::Layer,
    summary: "transposed convolution: `[in, h, w]` to `[out, (h − 1) · stride + dilation · (kernel − 1) + 1 + extra − 2 · padding, …]`",
    params: &[
        Param::required("out", Kind::Count, "channels of the result"),
        Param::required("kernel", PAIR, "size of the window, or `[height, width]`"),
        Param::with("stride", PAIR, "1", "factor of enlargement"),
        Param::with("padding", Kind::Whole, "0", "pixels cut from each side of the result"),
        Param::with(
            "extra",
            Kind::Whole,
            "0",
            "rows and columns added at the bottom and right (PyTorch's `output_padding`)",
        ),
        Param::with("dilation", PAIR, "1", "distance of the window's points"),
        Param::with("groups", Kind::Count, "1", "parts of the channels that do not see each other"),
        Param::with(
            "bias",
            Kind::Either(&[Kind::Flag, Kind::Word(&["auto"])]),
            "auto",
            "`auto`: unless a norm over the batch follows",
        ),
    ],
};

impl Layer for ConvTranspose {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "conv"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [channels, ..] = feature_map("conv_transpose", &cell.ty(x))?;
        let (out, groups) = (cell.args.size("out"), cell.args.size("groups"));
        if !channels.is_multiple_of(groups) || !out.is_multiple_of(groups) {
            let message = format!("{groups} groups do not divide {channels} input and {out} output channels");
            return Err(Mismatch::new(message).into());
        }
        let (kernel, stride, dilation) =
            (pair(cell.args, "kernel")?, pair(cell.args, "stride")?, pair(cell.args, "dilation")?);
        let bias = has_bias(cell);
        // PyTorch takes the fan-in of a transposed convolution from the second axis of its weight.
        let fan = fan_in((out / groups).saturating_mul(kernel[0]).saturating_mul(kernel[1]));
        let mut inputs = vec![x, cell.weight("weight", &[channels, out / groups, kernel[0], kernel[1]], fan)];
        if bias {
            inputs.push(cell.weight("bias", &[out], fan));
        }
        let op = ops::conv_transpose2d::ConvTranspose2d {
            stride,
            padding: [cell.args.size("padding"); 2],
            output_padding: [cell.args.size("extra"); 2],
            dilation,
            groups,
            bias,
        };
        cell.op(op, &inputs)
    }
}
