//! `crf(head, target)`: −log of the probability that a chain of labels gives the right path (Lafferty et al. 2001).
//!
//! The head ends in the layer `crf`. Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{PartKind, Signature};
use crate::ops;
use crate::parts::coding::Coding;

pub static CRF: Loss = Loss {
    signature: &Signature {
        name: "crf",
        kind: PartKind::Loss,
        summary: "−log of the probability of the right path of labels; the head ends in the layer `crf`",
        params: &[PREDICTION, TARGET],
    },
    takes: Takes::Coded(Coding::Chain),
    nonnegative: true,
    op: |_| ops::crf::Crf {}.into(),
};
