//! `l1(head, target)`: mean absolute error.
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{PartKind, Signature};
use crate::ops;

pub static L1: Loss = Loss {
    signature: &Signature {
        name: "l1",
        kind: PartKind::Loss,
        summary: "mean absolute error",
        params: &[PREDICTION, TARGET],
    },
    takes: Takes::Numbers,
    nonnegative: true,
    op: |_| ops::l1::L1 {}.into(),
};
