//! `uniform`: the weighted sum that the spec writes, `Σ w_i L_i`.

use super::{Balancer, Term};
use crate::base::signature::{Args, PartKind, Signature};
use crate::graph::{Builder, ValueId};
use crate::ops::{Mismatch, weighted_sum::WeightedSum};

pub struct Uniform;

static SIGNATURE: Signature = Signature {
    name: "uniform",
    kind: PartKind::Balancer,
    summary: "the weighted sum as the spec writes it",
    params: &[],
};

impl Balancer for Uniform {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn fewest_tasks(&self) -> usize {
        1
    }

    fn combine(&self, graph: &mut Builder, terms: &[Term], _: &Args) -> Result<ValueId, Mismatch> {
        let losses: Vec<ValueId> = terms.iter().map(|t| t.loss).collect();
        graph.op(WeightedSum { weights: terms.iter().map(|t| t.weight).collect() }, &losses, "objective")
    }
}
