//! `dropout(p)`: each element becomes 0 with probability p and is divided by 1 − p otherwise; served or frozen, nothing happens.

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops;
use crate::parts::cell::{Cell, Fault};

pub struct Dropout;

static SIGNATURE: Signature = Signature {
    name: "dropout",
    kind: PartKind::Layer,
    summary: "while training, zero a share of the elements and enlarge the others to keep the mean",
    params: &[Param::required("p", Kind::Fraction, "probability of a zero")],
};

impl Layer for Dropout {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "dropout"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        build(cell, x, cell.args.float("p"))
    }
}

pub fn build(cell: &mut Cell<'_>, x: ValueId, p: f64) -> Result<ValueId, Fault> {
    if p == 0.0 || !cell.draws_masks() {
        return Ok(x);
    }
    let (path, ty) = (cell.path.clone(), cell.ty(x));
    let mask = cell.graph.mask(&path, ty, 1.0 - p);
    cell.op(ops::dropout::Dropout {}, &[x, mask])
}
