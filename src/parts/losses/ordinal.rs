//! `ordinal(head, target)`: binary cross-entropy of each step between ordered classes (Cao et al. 2020, arXiv 1901.07884).
//!
//! The head has one logit less than there are classes. Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{PartKind, Signature};
use crate::ops;
use crate::parts::coding::Coding;

pub static ORDINAL: Loss = Loss {
    signature: &Signature {
        name: "ordinal",
        kind: PartKind::Loss,
        summary: "for ordered classes: binary cross-entropy of each step; the head has a logit for each step, one less than classes",
        params: &[PREDICTION, TARGET],
    },
    takes: Takes::Coded(Coding::Steps),
    nonnegative: true,
    op: |_| ops::ordinal::Ordinal {}.into(),
};
