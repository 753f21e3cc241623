//! `group_norm`: groups of channels of each example to mean 0 and variance 1, then each channel scaled and shifted.

use super::Layer;
use super::spatial::feature_map;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops;
use crate::parts::cell::{Cell, Fault};

pub struct GroupNorm;

static SIGNATURE: Signature = Signature {
    name: "group_norm",
    kind: PartKind::Layer,
    summary: "groups of channels of each example to mean 0 and variance 1, then scale and shift",
    params: &[
        Param::required("groups", Kind::Count, "number of groups; must divide the channels"),
        Param::with("epsilon", Kind::Positive, "1e-5", "added to the variance"),
    ],
};

impl Layer for GroupNorm {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "norm"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [channels, ..] = feature_map("group_norm", &cell.ty(x))?;
        let gamma = cell.weight("weight", &[channels], Init::Ones);
        let beta = cell.weight("bias", &[channels], Init::Zeros);
        let op = ops::group_norm::GroupNorm { groups: cell.args.size("groups"), epsilon: cell.args.float("epsilon") };
        cell.op(op, &[x, gamma, beta])
    }
}
