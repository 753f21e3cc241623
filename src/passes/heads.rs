//! Only some heads: the graph that answers a request, without losses and without what the other heads compute.

use super::optimise;
use crate::graph::{Graph, Purpose};

/// The part of an evaluation graph that the named heads need. Names that are no head are the caller's mistake, and ignored.
pub fn heads(graph: &Graph, names: &[&str]) -> Graph {
    let mut graph = graph.clone();
    graph.outputs.retain(|o| o.purpose == Purpose::Head && names.contains(&o.name.as_str()));
    optimise(graph).0
}
