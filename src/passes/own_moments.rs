//! `own_moments`: a batch norm by the moments of its own input says so.
//!
//! `batch_norm(x, channel_mean(x), channel_var(x, mean))` is the norm of training. Its whole gradient is one formula, cheaper
//! than the sum of the three ops' gradients; a norm with `own_moments` computes it, and its moments get none. They stay inputs:
//! they need not be computed again, and updates move the running statistics by them.

use super::rewrite::{push, rewrite};
use super::{Pass, told};
use crate::graph::{Definition, Graph, ValueId};
use crate::ops::Op;

pub const PASS: Pass = Pass {
    name: "own_moments",
    summary: "give norms by the moments of their own input one gradient in place of three",
    run,
};

fn run(graph: Graph) -> (Graph, String) {
    let mut joined = 0;
    let new = rewrite(&graph, |new, _, mut value| {
        if let Definition::Op { op: Op::BatchNorm(norm), inputs } = &mut value.definition
            && !norm.own_moments
            && reads_own_moments(new, inputs)
        {
            norm.own_moments = true;
            joined += 1;
        }
        Some(push(new, value))
    });
    (new, told("joined the moments of", &[(joined, "norm")]))
}

/// Whether the mean and the variance that a norm reads are those of its `x`.
fn reads_own_moments(graph: &Graph, inputs: &[ValueId]) -> bool {
    let (x, mean, var) = (inputs[0], inputs[1], inputs[2]);
    let is_mean = matches!(&graph.value(mean).definition,
        Definition::Op { op: Op::ChannelMean(_), inputs } if *inputs == [x]);
    let is_var = matches!(&graph.value(var).definition,
        Definition::Op { op: Op::ChannelVar(_), inputs } if *inputs == [x, mean]);
    is_mean && is_var
}
