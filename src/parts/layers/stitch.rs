//! `stitch(n)`: n equal parts side by side, each replaced by a learned linear combination of all: a cross-stitch unit (Misra,
//! Shrivastava, Gupta and Hebert 2016, arXiv 1604.03539).

use super::Layer;
use super::merge::few;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct Stitch;

static SIGNATURE: Signature = Signature {
    name: "stitch",
    kind: PartKind::Layer,
    summary: "equal parts side by side, features or channels, each replaced by a learned linear combination of all of them, as in cross-stitch networks",
    params: &[
        Param::required("parts", Kind::Count, "how many equal parts stand side by side"),
        Param::with(
            "by",
            Kind::Word(&["channel", "part"]),
            "channel",
            "whether each channel or feature has a combination of its own, or all of a part the same",
        ),
        Param::with(
            "own",
            Kind::Fraction,
            "0.9",
            "how much of itself each part begins with; the others share the rest",
        ),
    ],
};

impl Layer for Stitch {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "stitch"
    }

    /// `y_i = Σ_j a_ij · x_j`, with an `a` of `[n, n]`, or one for each channel, `[channels · n, n, 1, 1]`.
    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let (ty, parts) = (cell.ty(x), cell.args.size("parts"));
        let inner = ty.inner();
        let takes = || format!("`stitch({parts})` takes {parts} equal parts side by side, and gets {}", ty.example());
        if parts < 2 {
            return Err(Mismatch::new("`stitch` combines two parts or more").help("`stitch(2)`").into());
        }
        few("stitch", parts)?;
        if inner.len() == 2 {
            let help = "it combines vectors and feature maps; `mean_tokens` makes a vector of tokens";
            return Err(Mismatch::new(takes()).help(help).into());
        }
        if inner.is_empty() || !inner[0].is_multiple_of(parts) {
            return Err(Mismatch::new(takes()).into());
        }
        let channels = inner[0] / parts;
        let places: usize = inner[1..].iter().product();
        let init = Init::Stitch { parts, own: cell.args.float("own") };
        let reshape =
            |cell: &mut Cell<'_>, x, dims: &[usize]| cell.op(ops::reshape::Reshape { dims: dims.into() }, &[x]);
        let permute =
            |cell: &mut Cell<'_>, x, order: &[usize]| cell.op(ops::permute::Permute { order: order.into() }, &[x]);
        let mixed = if cell.args.text("by") == "part" {
            let weight = cell.weight("weight", &[parts, parts], init);
            let x = reshape(cell, x, &[parts, channels * places])?;
            let x = permute(cell, x, &[1, 0])?;
            let y = cell.op(ops::linear::Linear::default(), &[x, weight])?;
            permute(cell, y, &[1, 0])?
        } else {
            let weight = cell.weight("weight", &[channels * parts, parts, 1, 1], init);
            let x = reshape(cell, x, &[parts, channels, places])?;
            let x = permute(cell, x, &[1, 0, 2])?;
            let x = reshape(cell, x, &[channels * parts, places, 1])?;
            // A convolution over single pixels in a group for each channel: its filters are the rows of that channel's `a`.
            let conv = ops::conv2d::Conv2d {
                stride: [1; 2],
                padding: [0; 4],
                dilation: [1; 2],
                groups: channels,
                bias: false,
                epilogue: Default::default(),
                precision: Default::default(),
            };
            let y = cell.op(conv, &[x, weight])?;
            let y = reshape(cell, y, &[channels, parts, places])?;
            permute(cell, y, &[1, 0, 2])?
        };
        reshape(cell, mixed, &inner)
    }
}
