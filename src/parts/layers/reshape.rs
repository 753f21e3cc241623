//! `reshape(…)`: the same values in another shape.

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct Reshape;

static SIGNATURE: Signature = Signature {
    name: "reshape",
    kind: PartKind::Layer,
    summary: "the same values of each example, in another shape",
    params: &[Param::required("dims", Kind::Rest(&Kind::Count), "sizes of the result, without the batch")],
};

impl Layer for Reshape {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "shape"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let dims: Vec<usize> =
            cell.args.list("dims").iter().filter_map(|a| a.value.as_int()).map(|n| n as usize).collect();
        let (needs, gets) = (dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)), cell.ty(x).elements(1));
        if needs != Some(gets) {
            let needs = needs.map_or("too many".into(), |n| n.to_string());
            return Err(Mismatch::new(format!("`reshape` to {dims:?} makes {needs} numbers of {gets}")).into());
        }
        cell.op(ops::reshape::Reshape { dims }, &[x])
    }
}
