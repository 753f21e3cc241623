//! `dropout(p)`: each element becomes 0 with probability p and is divided by 1 − p otherwise; served or frozen, nothing happens.
//!
//! Neighbours in a feature map say much the same, and what one hides another shows. `by: channel` lets whole channels fall
//! (Tompson et al. 2015, arXiv 1411.4280).

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::base::{DType, Type};
use crate::graph::ValueId;
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct Dropout;

static SIGNATURE: Signature = Signature {
    name: "dropout",
    kind: PartKind::Layer,
    summary: "while training, zero a share of the elements and enlarge the others to keep the mean",
    params: &[
        Param::required("p", Kind::Fraction, "probability of a zero"),
        Param::with(
            "by",
            Kind::Word(&["element", "channel"]),
            "element",
            "what falls: single elements, or whole channels of a feature map",
        ),
    ],
};

impl Layer for Dropout {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "dropout"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let p = cell.args.float("p");
        if cell.args.text("by") == "element" {
            return build(cell, x, p);
        }
        let ty = cell.ty(x);
        if ty.rank() != 4 {
            let message = format!("`dropout` by channel takes a feature map, and got {}", ty.example());
            return Err(Mismatch::new(message).help("leave `by: channel` out").into());
        }
        if p == 0.0 || !cell.draws_masks() {
            return Ok(x);
        }
        let path = cell.path.clone();
        let mask = cell.graph.mask(&path, Type::batched(DType::F32, &ty.inner()[..1]), 1.0 - p);
        cell.op(ops::scale_channels::ScaleChannels {}, &[x, mask])
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
