//! Losses: what `minimize` adds up. A loss is one file and one line in [`LOSSES`].
//!
//! The first two arguments of every loss are the head and the target. A row whose label is missing counts neither in the sum
//! nor in the mean.

use crate::base::signature::{Args, Kind, Param, Signature};
use crate::ops::Op;
use crate::parts::coding::Coding;

mod bce;
mod berhu;
mod cosine;
mod crf;
mod cross_entropy;
mod detection;
mod dice;
mod focal;
mod huber;
mod l1;
mod mse;
mod ordinal;
mod silog;
mod smooth_l1;

/// What a loss compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Class numbers; the head gives one value for each class.
    Classes,
    /// Class numbers; the head says otherwise which one.
    Coded(Coding),
    /// Numbers of the same shape as the head's.
    Numbers,
    Either,
    /// Boxes around objects; the head gives the cells of `detect`.
    Boxes,
}

impl Takes {
    /// How the values of the head stand for classes, where they do.
    pub fn coding(self) -> Coding {
        if let Takes::Coded(coding) = self { coding } else { Coding::Scores }
    }
}

pub struct Loss {
    pub signature: &'static Signature,
    pub takes: Takes,
    /// Whether the value is never below 0, as balancers that take logarithms need.
    pub nonnegative: bool,
    /// The op of prediction, target and presence.
    pub op: fn(&Args) -> Op,
}

/// Every loss, in the order of the reference.
pub static LOSSES: &[&Loss] = &[
    &cross_entropy::CROSS_ENTROPY,
    &focal::FOCAL,
    &ordinal::ORDINAL,
    &crf::CRF,
    &bce::BCE,
    &mse::MSE,
    &l1::L1,
    &huber::HUBER,
    &smooth_l1::SMOOTH_L1,
    &berhu::BERHU,
    &silog::SILOG,
    &dice::DICE,
    &cosine::COSINE,
    &detection::DETECTION,
];

pub const PREDICTION: Param = Param::required("head", Kind::Prediction, "the head that answers");
pub const TARGET: Param = Param::required("target", Kind::Target, "what it should answer");

/// The loss of that name.
pub fn find(name: &str) -> Option<&'static Loss> {
    LOSSES.iter().copied().find(|l| l.signature.name == name)
}
