//! `bottleneck`: a small residual network at the end of each branch, `x + up(gelu(down(x)))` (Houlsby et al. 2019, arXiv
//! 1902.00751).
//!
//! It stands at the end of the attention and of the feed-forward part of an `encoder`, and of the body of a `residual`, in
//! each case before what came in is added. `up` starts with zeros, so the adapted layer begins as the layer. It works on each
//! vector, token or pixel by itself: linear layers, or convolutions 1×1 on a feature map.

use crate::base::signature::{Call, Kind, Param, PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops::{self, Op};
use crate::parts::adapters::Adapter;
use crate::parts::cell::{Cell, Fault, fan_in};

pub static SIGNATURE: Signature = Signature {
    name: "bottleneck",
    kind: PartKind::Adapter,
    summary: "a small residual network is trained at the end of both parts of an `encoder` and of the body of a `residual`",
    params: &[Param::required("width", Kind::Count, "width of the bottleneck")],
};

pub fn build(call: &Call) -> Adapter {
    Adapter::Bottleneck { width: call.args.size("width") }
}

/// `x`, or what stands behind it where the layer is adapted so. `name` is that of the adapter in the layer.
pub fn adapt(cell: &mut Cell<'_>, name: &str, x: ValueId) -> Result<ValueId, Fault> {
    let Some(Adapter::Bottleneck { width }) = cell.policy.adapt else { return Ok(x) };
    let inner = cell.ty(x).inner();
    let (channels, window) = match inner[..] {
        [channels, _, _] => (channels, &[1usize, 1][..]),
        [.., features] => (features, &[][..]),
        [] => return Ok(x),
    };
    let product = |cell: &mut Cell<'_>, part: &str, x, from: usize, to: usize, init: [Init; 2]| {
        let weight = cell.added(&format!("{name}.{part}.weight"), &[&[to, from], window].concat(), init[0])?;
        let bias = cell.added(&format!("{name}.{part}.bias"), &[to], init[1])?;
        let op: Op = if window.is_empty() {
            ops::linear::Linear { bias: true, ..Default::default() }.into()
        } else {
            ops::conv2d::Conv2d {
                stride: [1; 2],
                padding: [0; 4],
                dilation: [1; 2],
                groups: 1,
                bias: true,
                epilogue: Default::default(),
                precision: Default::default(),
            }
            .into()
        };
        cell.op(op, &[x, weight, bias])
    };
    let down = product(cell, "down", x, channels, width, [fan_in(channels); 2])?;
    let bent = cell.op(ops::gelu::Gelu { approximate: false }, &[down])?;
    let up = product(cell, "up", bent, width, channels, [Init::Zeros; 2])?;
    cell.op(ops::add::Add {}, &[x, up])
}
