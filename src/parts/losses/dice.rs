//! `dice(head, target)`: one minus the overlap of two regions (Milletari et al. 2016, arXiv 1606.04797).
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::ops;

pub static DICE: Loss = Loss {
    signature: &Signature {
        name: "dice",
        kind: PartKind::Loss,
        summary: "1 − 2·overlap / (sum of both), of softmax or sigmoid masks",
        params: &[
            PREDICTION,
            TARGET,
            Param::with("smooth", Kind::Positive, "1", "added above and below, so that two empty masks agree"),
        ],
    },
    takes: Takes::Either,
    nonnegative: true,
    op: |args| ops::dice::Dice { smooth: args.float("smooth") }.into(),
};
