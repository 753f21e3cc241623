//! `transpose`: rows become columns.

use super::Layer;
use super::class_token::sequence;
use crate::base::signature::{PartKind, Signature};
use crate::graph::ValueId;
use crate::ops;
use crate::parts::cell::{Cell, Fault};

pub struct Transpose;

static SIGNATURE: Signature = Signature {
    name: "transpose",
    kind: PartKind::Layer,
    summary: "rows become columns, so that a head chooses among tokens: `[tokens, width]` to `[width, tokens]`",
    params: &[],
};

impl Layer for Transpose {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "shape"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        sequence("transpose", &cell.ty(x))?;
        cell.op(ops::permute::Permute { order: vec![1, 0] }, &[x])
    }
}
