//! `berhu(head, target)`: linear near zero, squared beyond (Laina et al. 2016, arXiv 1606.00373).
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::ops;

pub static BERHU: Loss = Loss {
    signature: &Signature {
        name: "berhu",
        kind: PartKind::Loss,
        summary: "|e| up to c, (e² + c²) / 2c beyond, c a share of the largest error",
        params: &[
            PREDICTION,
            TARGET,
            Param::with("threshold", Kind::Positive, "0.2", "c as a share of the largest absolute error of the batch"),
        ],
    },
    takes: Takes::Numbers,
    nonnegative: true,
    op: |args| ops::berhu::Berhu { threshold: args.float("threshold") }.into(),
};
