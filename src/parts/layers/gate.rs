//! `gate(body)`: what goes in, times what the body makes of it: a number for each channel, or for each value.
//!
//! With a body that squeezes a map to a vector it is squeeze and excitation (Hu et al. 2017, arXiv 1709.01507).

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct Gate;

static SIGNATURE: Signature = Signature {
    name: "gate",
    kind: PartKind::Layer,
    summary: "layers whose output multiplies their input: by channel where it is a vector, as in squeeze and excitation, or value by value",
    params: &[Param::required("body", Kind::Chain, "the layers; they usually end in `sigmoid` or `hardsigmoid`")],
};

impl Layer for Gate {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "gate"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let factor = cell.chain("body", x)?;
        let (from, to) = (cell.ty(x), cell.ty(factor));
        if from == to {
            return cell.op(ops::mul::Mul {}, &[x, factor]);
        }
        if from.rank() == 4 && to.inner()[..] == from.inner()[..1] {
            return cell.op(ops::scale_channels::ScaleChannels {}, &[x, factor]);
        }
        let message =
            format!("the body of `gate` turns {} into {}, which cannot scale it", from.example(), to.example());
        Err(Mismatch::new(message)
            .help("the body ends in the shape that it begins with, or in a number for each channel")
            .into())
    }
}
