//! `encoder(heads, hidden)`: one transformer encoder layer, with the norms before (pre-LN).
//!
//! `x + attention(norm(x))`, then `x + linear(gelu(linear(norm(x))))`.

use super::{Layer, attention, dropout, layer_norm};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops;
use crate::parts::adapters::bottleneck;
use crate::parts::cell::{Cell, Fault};

pub struct Encoder;

static SIGNATURE: Signature = Signature {
    name: "encoder",
    kind: PartKind::Layer,
    summary: "a transformer encoder layer with norms before attention and feed-forward part",
    params: &[
        Param::required("heads", Kind::Count, "heads of the attention; must divide the width"),
        Param::required("hidden", Kind::Count, "width of the feed-forward part"),
        Param::with("dropout", Kind::Fraction, "0", "dropout on both branches"),
    ],
};

impl Layer for Encoder {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "attention"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let (heads, hidden, p) = (cell.args.size("heads"), cell.args.size("hidden"), cell.args.float("dropout"));
        let normed = cell.within("norm1", "norm", |c| layer_norm::build(c, x, 1e-5))?;
        let branch = cell.within("attention", "attention", |c| attention::build(c, normed, heads))?;
        let branch = cell.within("dropout1", "dropout", |c| dropout::build(c, branch, p))?;
        let branch = bottleneck::adapt(cell, "adapter1", branch)?;
        let x = cell.op(ops::add::Add {}, &[x, branch])?;
        let width = *cell.ty(x).inner().last().expect("attention has checked the rank");
        let normed = cell.within("norm2", "norm", |c| layer_norm::build(c, x, 1e-5))?;
        let branch = cell.within("feed", "linear", |c| {
            let inner = attention::project(c, "inner", normed, hidden)?;
            let inner = c.op(ops::gelu::Gelu { approximate: false }, &[inner])?;
            attention::project(c, "outer", inner, width)
        })?;
        let branch = cell.within("dropout2", "dropout", |c| dropout::build(c, branch, p))?;
        let branch = bottleneck::adapt(cell, "adapter2", branch)?;
        cell.op(ops::add::Add {}, &[x, branch])
    }
}
