//! `smooth_l1(head, target)`: the Huber loss divided by its threshold (Girshick 2015, arXiv 1504.08083).
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::ops;

pub static SMOOTH_L1: Loss = Loss {
    signature: &Signature {
        name: "smooth_l1",
        kind: PartKind::Loss,
        summary: "½ e² / beta up to beta, |e| − ½ beta beyond",
        params: &[PREDICTION, TARGET, Param::with("beta", Kind::Positive, "1", "where the parabola becomes a line")],
    },
    takes: Takes::Numbers,
    nonnegative: true,
    op: |args| ops::smooth_l1::SmoothL1 { beta: args.float("beta") }.into(),
};
