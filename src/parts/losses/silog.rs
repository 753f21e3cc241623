//! `silog(head, target)`: the scale-invariant error of logarithms, for depth (Eigen et al. 2014, arXiv 1406.2283).
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::ops;

pub static SILOG: Loss = Loss {
    signature: &Signature {
        name: "silog",
        kind: PartKind::Loss,
        summary: "mean d² − lambda · (mean d)², d the difference of logarithms; both sides must be positive",
        params: &[
            PREDICTION,
            TARGET,
            Param::with("lambda", Kind::NonNegative, "0.5", "1 makes a common scale free of charge"),
        ],
    },
    takes: Takes::Numbers,
    nonnegative: false,
    op: |args| ops::silog::Silog { lambda: args.float("lambda") }.into(),
};
