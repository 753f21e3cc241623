//! `cosine(head, target)`: one minus the cosine between two vectors.
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{PartKind, Signature};
use crate::ops;

pub static COSINE: Loss = Loss {
    signature: &Signature {
        name: "cosine",
        kind: PartKind::Loss,
        summary: "1 − cosine of the angle between predicted and true vector, of each row, token or pixel",
        params: &[PREDICTION, TARGET],
    },
    takes: Takes::Numbers,
    nonnegative: true,
    op: |_| ops::cosine::Cosine {}.into(),
};
