//! `segment(types)`: the learned vector of the first of several segments, added to every token.
//!
//! Encoders that were trained on pairs of texts have a vector for each of the two (Devlin et al. 2018, arXiv 1810.04805). An input
//! here is one text, so the first vector is the one that counts; the others are there because published weights have them.

use super::Layer;
use super::class_token::sequence;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops;
use crate::parts::cell::{Cell, Fault};

pub struct Segment;

static SIGNATURE: Signature = Signature {
    name: "segment",
    kind: PartKind::Layer,
    summary: "add the learned vector of the first segment to every token `[tokens, width]`, as encoders of pairs of texts have it",
    params: &[Param::with("types", Kind::Count, "2", "segments that the weights know; the first is used")],
};

impl Layer for Segment {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "embedding"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [_, width] = sequence("segment", &cell.ty(x))?;
        let table = cell.weight("weight", &[cell.args.size("types"), width], Init::Normal(0.02));
        cell.op(ops::add_rows::AddRows { row: Some(0) }, &[x, table])
    }
}
