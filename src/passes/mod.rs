//! Graph to graph: each pass is one file and one line in [`PASSES`], a pure function that keeps what the graph means.
//!
//! The list is the order in which they run. After each the graph is verified again, and what breaks an invariant is named
//! with the pass that broke it.

mod dead_code;
mod heads;

pub use heads::heads;

use crate::graph::{Graph, verify};

pub struct Pass {
    pub name: &'static str,
    /// What it does, in one sentence without a full stop.
    pub summary: &'static str,
    pub run: fn(Graph) -> Graph,
}

/// Every pass, in the order in which they run.
pub static PASSES: &[Pass] = &[dead_code::PASS];

/// What a pass did to a graph.
pub struct Effect {
    pub pass: &'static Pass,
    pub before: usize,
    pub after: usize,
}

/// Runs every pass.
pub fn optimise(graph: Graph) -> (Graph, Vec<Effect>) {
    let mut effects = vec![];
    let graph = PASSES.iter().fold(graph, |graph, pass| {
        let before = graph.values.len();
        let graph = (pass.run)(graph);
        verify(&graph).unwrap_or_else(|broken| panic!("bug: after the pass `{}`: {broken}", pass.name));
        effects.push(Effect { pass, before, after: graph.values.len() });
        graph
    });
    (graph, effects)
}
