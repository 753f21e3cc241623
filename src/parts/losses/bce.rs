//! `bce(head, target)`: binary cross-entropy of each element, from logits.
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::ops;

pub static BCE: Loss = Loss {
    signature: &Signature {
        name: "bce",
        kind: PartKind::Loss,
        summary: "binary cross-entropy of each element, from logits; targets are 0 to 1",
        params: &[
            PREDICTION,
            TARGET,
            Param::optional("positive_weight", Kind::Positive, "factor on the positive part"),
        ],
    },
    takes: Takes::Numbers,
    nonnegative: true,
    op: |args| {
        let positive_weight = args.has("positive_weight").then(|| args.float("positive_weight"));
        ops::bce_with_logits::BceWithLogits { positive_weight }.into()
    },
};
