//! `uncertainty`: each task's weight is learned as the inverse of its noise (Kendall et al. 2018, arXiv 1705.07115).
//!
//! `Σ w_i (½ e^(−s_i) L_i + ½ s_i)`, with one learned `s_i` a task, from 0. They are parameters of the model, `balance.log_variance`.

use super::{Balancer, Term};
use crate::base::signature::{Args, PartKind, Signature};
use crate::graph::{Builder, Init, Role, ValueId};
use crate::ops::{self, Mismatch};

pub struct Uncertainty;

static SIGNATURE: Signature = Signature {
    name: "uncertainty",
    kind: PartKind::Balancer,
    summary: "each task's weight is learned with the model, as the inverse of its noise",
    params: &[],
};

impl Balancer for Uncertainty {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn needs_nonnegative(&self) -> bool {
        // With a loss below 0 the objective has no minimum: s would fall for ever.
        true
    }

    fn combine(&self, graph: &mut Builder, terms: &[Term], _: &Args) -> Result<ValueId, Mismatch> {
        let mut inputs: Vec<ValueId> = terms.iter().map(|t| t.loss).collect();
        inputs.push(graph.parameter("balance.log_variance", &[terms.len()], Init::Zeros, Role::Trained, "balancer"));
        let weights = terms.iter().map(|t| t.weight).collect();
        graph.op(ops::uncertainty::Uncertainty { weights }, &inputs, "objective")
    }
}
