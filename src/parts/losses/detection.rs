//! `detection(head, target)`: classes, boxes and their quality, over the cells of a head that ends in `detect`.
//!
//! Formula, assignment, shapes and gradient stand with the op.

use super::{Loss, PREDICTION, TARGET, Takes};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::ops;

pub static DETECTION: Loss = Loss {
    signature: &Signature {
        name: "detection",
        kind: PartKind::Loss,
        summary: "for `boxes`: cross-entropy of classes, 1 − CIoU of boxes, and cross-entropy of quality, over task-aligned cells",
        params: &[
            PREDICTION,
            TARGET,
            Param::with("class", Kind::NonNegative, "1", "how much the classes count"),
            Param::with("box", Kind::NonNegative, "2", "how much the corners of boxes count"),
            Param::with("quality", Kind::NonNegative, "1", "how much it counts that a box knows how well it fits"),
            Param::with("candidates", Kind::Count, "10", "the most cells that answer for one box"),
            Param::with("alpha", Kind::NonNegative, "1", "in the alignment of a cell, the power of its probability"),
            Param::with("beta", Kind::NonNegative, "6", "and that of the overlap of its box"),
        ],
    },
    takes: Takes::Boxes,
    nonnegative: true,
    op: |args| {
        ops::detection::Detection {
            class_weight: args.float("class"),
            box_weight: args.float("box"),
            quality_weight: args.float("quality"),
            candidates: args.size("candidates"),
            alpha: args.float("alpha"),
            beta: args.float("beta"),
        }
        .into()
    },
};
