//! `huber(head, target)`: squared near zero, linear beyond (Huber 1964).
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::ops;

pub static HUBER: Loss = Loss {
    signature: &Signature {
        name: "huber",
        kind: PartKind::Loss,
        summary: "½ e² up to delta, delta · (|e| − ½ delta) beyond",
        params: &[PREDICTION, TARGET, Param::with("delta", Kind::Positive, "1", "where the parabola becomes a line")],
    },
    takes: Takes::Numbers,
    nonnegative: true,
    op: |args| ops::huber::Huber { delta: args.float("delta") }.into(),
};
