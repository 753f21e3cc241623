//! `cross_entropy(head, target)`: −log of the probability that the softmax gives the right class.
//!
//! Formula, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::ops;

pub static CROSS_ENTROPY: Loss = Loss {
    signature: &Signature {
        name: "cross_entropy",
        kind: PartKind::Loss,
        summary: "−log of the softmax probability of the right class",
        params: &[
            PREDICTION,
            TARGET,
            Param::with("smoothing", Kind::Fraction, "0", "share of the target spread evenly over all classes"),
            Param::optional("weights", Kind::List(&Kind::NonNegative), "one weight for each class"),
            Param::optional("ignore", Kind::Integer, "a class number that counts as no label, such as 255 in masks"),
        ],
    },
    takes: Takes::Classes,
    nonnegative: true,
    op: |args| {
        let weights =
            args.has("weights").then(|| args.list("weights").iter().filter_map(|a| a.value.as_float()).collect());
        let ignore = args.has("ignore").then(|| args.int("ignore"));
        ops::cross_entropy::CrossEntropy { smoothing: args.float("smoothing"), weights, ignore }.into()
    },
};
