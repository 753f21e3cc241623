//! `lora`: a product of low rank beside each weight, `W + α/r · B · A` (Hu et al. 2021, arXiv 2106.09685).
//!
//! It adapts the products of a selection: `linear`, the projections of `attention` and `encoder`, and convolutions in one
//! group. `W` of `[out, …]` is frozen; `A` of `[rank, …]` starts as PyTorch's `peft` starts it, uniform in ± √(1 / fan-in), and
//! `B` of `[out, rank]` with zeros, so the adapted layer begins as the layer. A convolution has its window in `A`, and in `B` a
//! window of 1×1. While they are trained, `A` and `B` are a branch of their own beside the layer, so no gradient of `W` is
//! computed; otherwise they are merged into one weight, which is a constant of the graph.

use crate::base::signature::{Call, Kind, Param, PartKind, Signature};
use crate::graph::{Init, Mode, ValueId};
use crate::ops::{dropout::Dropout, low_rank::LowRank, scale::Scale};
use crate::parts::adapters::Adapter;
use crate::parts::cell::{Cell, Fault, Hold, fan_in};

pub static SIGNATURE: Signature = Signature {
    name: "lora",
    kind: PartKind::Adapter,
    summary: "a product of low rank is trained beside each weight of linear layers, projections and convolutions",
    params: &[
        Param::required("rank", Kind::Count, "width of the branch beside a weight"),
        Param::with("alpha", Kind::Positive, "16", "the branch counts `alpha / rank` times"),
        Param::with("dropout", Kind::Fraction, "0", "dropout in front of the branch, while training"),
    ],
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lora {
    rank: usize,
    alpha: f64,
    dropout: f64,
}

pub fn build(call: &Call) -> Adapter {
    let args = &call.args;
    Adapter::Lora(Lora { rank: args.size("rank"), alpha: args.float("alpha"), dropout: args.float("dropout") })
}

/// What is trained beside a product: first by `a`, then by `b`, which carries the scale.
pub struct Branch {
    pub x: ValueId,
    pub a: ValueId,
    pub b: ValueId,
}

/// The weight `[out, …]` to compute with, and the branch beside the product. `name` is the prefix of the weight's name in the layer.
pub fn adapt(cell: &mut Cell<'_>, name: &str, x: ValueId, weight: ValueId) -> Result<(ValueId, Option<Branch>), Fault> {
    let Some(Adapter::Lora(lora)) = cell.policy.adapt else { return Ok((weight, None)) };
    let dims = cell.ty(weight).inner();
    let scale = lora.alpha / lora.rank as f64;
    let first = [&[lora.rank], &dims[1..]].concat();
    let second = [&[dims[0], lora.rank][..], &vec![1; dims.len() - 2]].concat();
    let fan = dims[1..].iter().fold(1usize, |n, size| n.saturating_mul(*size));
    let a = cell.added(&format!("{name}lora.a"), &first, fan_in(fan))?;
    let b = cell.added(&format!("{name}lora.b"), &second, Init::Zeros)?;
    if cell.graph.mode() == Mode::Eval || cell.policy.hold == Hold::Everything {
        return Ok((cell.op(LowRank { scale }, &[weight, a, b])?, None));
    }
    let b = if scale == 1.0 { b } else { cell.op(Scale { factor: scale }, &[b])? };
    let x = if lora.dropout > 0.0 && cell.draws_masks() {
        let (path, ty) = (cell.name(&format!("{name}lora")), cell.ty(x));
        let mask = cell.graph.mask(&path, ty, 1.0 - lora.dropout);
        cell.op(Dropout {}, &[x, mask])?
    } else {
        x
    };
    Ok((weight, Some(Branch { x, a, b })))
}
