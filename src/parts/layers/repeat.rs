//! `repeat(times, body)`: the same layers one after the other, each time with parameters of their own.
//!
//! The model writes a repetition out before anything is built, so that each copy has its path; nothing is left to build.

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::parts::cell::{Cell, Fault};

pub struct Repeat;

pub static SIGNATURE: Signature = Signature {
    name: "repeat",
    kind: PartKind::Layer,
    summary: "the same layers several times in a row, each with its own parameters; copies are named 0, 1, …",
    params: &[Param::required("times", Kind::Count, "how often"), Param::required("body", Kind::Chain, "the layers")],
};

impl Layer for Repeat {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "repeat"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        (0..cell.args.size("times")).try_fold(x, |x, _| cell.chain("body", x))
    }
}
