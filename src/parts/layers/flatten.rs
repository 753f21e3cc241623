//! `flatten` and `tokens`: feature maps as vectors and as sequences.

use super::Layer;
use super::spatial::feature_map;
use crate::base::signature::{PartKind, Signature};
use crate::graph::ValueId;
use crate::ops;
use crate::parts::cell::{Cell, Fault};

pub struct Flatten;
pub struct Tokens;

static FLATTEN: Signature = Signature {
    name: "flatten",
    kind: PartKind::Layer,
    summary: "all values of an example as one vector",
    params: &[],
};

static TOKENS: Signature = Signature {
    name: "tokens",
    kind: PartKind::Layer,
    summary: "the pixels of a feature map as tokens: `[c, h, w]` to `[h · w, c]`",
    params: &[],
};

impl Layer for Flatten {
    fn signature(&self) -> &'static Signature {
        &FLATTEN
    }

    fn kind(&self) -> &'static str {
        "shape"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        cell.op(ops::flatten::Flatten {}, &[x])
    }
}

impl Layer for Tokens {
    fn signature(&self) -> &'static Signature {
        &TOKENS
    }

    fn kind(&self) -> &'static str {
        "shape"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [channels, height, width] = feature_map("tokens", &cell.ty(x))?;
        let rows = cell.op(ops::reshape::Reshape { dims: vec![channels, height * width] }, &[x])?;
        cell.op(ops::permute::Permute { order: vec![1, 0] }, &[rows])
    }
}
