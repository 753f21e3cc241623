//! `dualproj`: the mean gradient, projected so that it opposes none (Quinton and Rey 2024, arXiv 2406.16232, of the family of Lopez-Paz
//! and Ranzato 2017, arXiv 1706.08840).
//!
//! The `v ≥ 1/T` that minimises `vᵀ G v`, with `G` as for `upgrad`.

use super::upgrad::project;
use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, PartKind, Signature};

pub struct DualProj;

static SIGNATURE: Signature = Signature {
    name: "dualproj",
    kind: PartKind::Balancer,
    summary: "the mean of the gradients, projected so that it opposes none",
    params: &[],
};

impl Balancer for DualProj {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, _: &mut Turn, gram: &Gram) -> Vec<f64> {
        project(gram, &vec![1.0 / gram.size() as f64; gram.size()])
    }
}
