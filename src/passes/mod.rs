//! Graph to graph: each pass is one file and one line in [`PASSES`], a pure function that keeps what the graph means.
//!
//! The list is the order in which they run. After each the graph is verified again, and what breaks an invariant is named
//! with the pass that broke it. A pass says in words what it did.

mod common_subexpressions;
mod constant_fold;
mod dead_code;
mod fold_batch_norm;
pub mod frozen;
mod fuse_epilogue;
mod heads;
mod layout;
mod own_moments;
pub mod precision;
mod rewrite;

pub use heads::{cut, heads};
pub use layout::layout;

use crate::graph::{Graph, verify};
use crate::ops::operation::count;

pub struct Pass {
    pub name: &'static str,
    /// What it does, in one sentence without a full stop.
    pub summary: &'static str,
    /// The new graph, and what changed in words; nothing did where there are none.
    pub run: fn(Graph) -> (Graph, String),
}

/// Every pass, in the order in which they run. What is dead is gone first, since a reader that nobody needs stands in the way
/// of others; norms fold before the activation behind them is fused; orders of maps come last, when all ops are final.
pub static PASSES: &[Pass] = &[
    dead_code::PASS,
    common_subexpressions::PASS,
    own_moments::PASS,
    fold_batch_norm::PASS,
    fuse_epilogue::PASS,
    constant_fold::PASS,
    layout::PASS,
];

/// What a pass did to a graph.
pub struct Effect {
    pub pass: &'static Pass,
    /// Values before it and after.
    pub before: usize,
    pub after: usize,
    /// What changed, in words; empty when nothing did.
    pub did: String,
}

/// Runs every pass.
pub fn optimise(graph: Graph) -> (Graph, Vec<Effect>) {
    run(graph, PASSES)
}

/// The passes up to the one of that name, and with it.
pub fn up_to(name: &str) -> Option<&'static [Pass]> {
    PASSES.iter().position(|pass| pass.name == name).map(|last| &PASSES[..=last])
}

/// Runs these passes in order.
pub fn run(graph: Graph, passes: &'static [Pass]) -> (Graph, Vec<Effect>) {
    let mut effects = vec![];
    let graph = passes.iter().fold(graph, |graph, pass| {
        let before = graph.values.len();
        let (graph, did) = (pass.run)(graph);
        verify(&graph).unwrap_or_else(|broken| panic!("bug: after the pass `{}`: {broken}", pass.name));
        effects.push(Effect { pass, before, after: graph.values.len(), did });
        graph
    });
    (graph, effects)
}

/// `fused 8 residuals, 17 activations`: what was counted, without what was not met. Empty when nothing was.
fn told(verb: &str, counts: &[(usize, &str)]) -> String {
    let met: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, noun)| count(*n, noun)).collect();
    if met.is_empty() { String::new() } else { format!("{verb} {}", met.join(", ")) }
}
