//! `layer_norm`: each vector to mean 0 and variance 1, then scaled and shifted.

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct LayerNorm;

static SIGNATURE: Signature = Signature {
    name: "layer_norm",
    kind: PartKind::Layer,
    summary: "each vector, or each token, to mean 0 and variance 1, then scale and shift",
    params: &[Param::with("epsilon", Kind::Positive, "1e-5", "added to the variance")],
};

impl Layer for LayerNorm {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "norm"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        build(cell, x, cell.args.float("epsilon"))
    }
}

pub fn build(cell: &mut Cell<'_>, x: ValueId, epsilon: f64) -> Result<ValueId, Fault> {
    let inner = cell.ty(x).inner();
    let Some(&width) = inner.last() else {
        return Err(Mismatch::new("`layer_norm` takes a vector or tokens, and gets a single number").into());
    };
    let gamma = cell.weight("weight", &[width], Init::Ones);
    let beta = cell.weight("bias", &[width], Init::Zeros);
    cell.op(ops::layer_norm::LayerNorm { epsilon }, &[x, gamma, beta])
}
