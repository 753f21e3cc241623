//! `dead_code`: drops every value, and every parameter, that no output and no update needs.

use super::rewrite::{push, rewrite};
use super::{Pass, told};
use crate::graph::{Definition, Graph, Leaf};
use std::collections::HashSet;

pub const PASS: Pass = Pass { name: "dead_code", summary: "drop what no output and no update needs", run };

fn run(graph: Graph) -> (Graph, String) {
    let (values, parameters) = (graph.values.len(), graph.parameters.len());
    let graph = sweep(graph);
    let counts = [(values - graph.values.len(), "value"), (parameters - graph.parameters.len(), "parameter")];
    (graph, told("dropped", &counts))
}

/// The graph without what nothing needs.
pub fn sweep(graph: Graph) -> Graph {
    let mut needed = vec![false; graph.values.len()];
    let roots = graph.outputs.iter().map(|o| o.value).chain(graph.updates.iter().map(|u| u.value));
    roots.for_each(|id| needed[id.0] = true);
    // Inputs stand before what is computed from them, so one walk from the back meets every reader first.
    for id in graph.ids().rev() {
        if needed[id.0] {
            graph.value(id).inputs().iter().for_each(|input| needed[input.0] = true);
        }
    }
    let mut graph = rewrite(&graph, |new, id, value| needed[id.0].then(|| push(new, value)));
    let read: HashSet<&str> = graph
        .values
        .iter()
        .filter_map(|v| {
            if let Definition::Leaf(Leaf::Parameter(path)) = &v.definition { Some(path.as_str()) } else { None }
        })
        .chain(graph.updates.iter().map(|u| u.parameter.as_str()))
        .collect();
    graph.parameters.retain(|path, _| read.contains(path.as_str()));
    graph
}
