//! `slice(start, end)`: a range of channels, tokens or features.

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops;
use crate::parts::cell::{Cell, Fault};

pub struct Slice;

static SIGNATURE: Signature = Signature {
    name: "slice",
    kind: PartKind::Layer,
    summary: "a range of one axis: channels of a feature map, tokens of a sequence, features of a vector",
    params: &[
        Param::required("start", Kind::Whole, "first index kept, from 0"),
        Param::required("end", Kind::Count, "first index not kept"),
        Param::with("axis", Kind::Whole, "0", "axis of the example's shape, from 0"),
    ],
};

impl Layer for Slice {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "shape"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let axis = cell.args.size("axis") + 1;
        cell.op(ops::slice::Slice { axis, start: cell.args.size("start"), end: cell.args.size("end") }, &[x])
    }
}
