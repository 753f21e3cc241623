//! `mse(head, target)`: mean squared error.
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{PartKind, Signature};
use crate::ops;

pub static MSE: Loss = Loss {
    signature: &Signature {
        name: "mse",
        kind: PartKind::Loss,
        summary: "mean squared error",
        params: &[PREDICTION, TARGET],
    },
    takes: Takes::Numbers,
    nonnegative: true,
    op: |_| ops::mse::Mse {}.into(),
};
