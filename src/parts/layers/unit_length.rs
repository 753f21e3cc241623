//! `unit_length`: a vector divided by its length.

use super::Layer;
use crate::base::signature::{PartKind, Signature};
use crate::graph::ValueId;
use crate::ops;
use crate::parts::cell::{Cell, Fault};

pub struct UnitLength;

static SIGNATURE: Signature = Signature {
    name: "unit_length",
    kind: PartKind::Layer,
    summary: "a vector scaled to length 1, as sentence vectors are compared",
    params: &[],
};

/// What PyTorch's `normalize` divides shorter vectors by.
const SHORTEST: f64 = 1e-12;

impl Layer for UnitLength {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "norm"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        cell.op(ops::normalize_l2::NormalizeL2 { epsilon: SHORTEST }, &[x])
    }
}
