//! `focal(head, target)`: cross-entropy that passes over what is already right (Lin et al. 2017, arXiv 1708.02002).
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::ops;

pub static FOCAL: Loss = Loss {
    signature: &Signature {
        name: "focal",
        kind: PartKind::Loss,
        summary: "cross-entropy times (1 − p)^gamma, which passes over easy examples",
        params: &[
            PREDICTION,
            TARGET,
            Param::with("gamma", Kind::NonNegative, "2", "0 is plain cross-entropy"),
            Param::optional("alpha", Kind::Positive, "a factor on the whole loss"),
        ],
    },
    takes: Takes::Classes,
    nonnegative: true,
    op: |args| {
        let alpha = args.has("alpha").then(|| args.float("alpha"));
        ops::focal::Focal { gamma: args.float("gamma"), alpha }.into()
    },
};
