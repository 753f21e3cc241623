//! Only some heads: the graph that answers a request, without losses and without what the other heads compute.

use super::dead_code::sweep;
use super::layout::row_major;
use super::optimise;
use crate::graph::{Graph, Purpose};

/// The part of an evaluation graph that the named heads need, optimised: the graph may have been before, but where one head
/// ends fewer readers stand in the way. Names that are no head are the caller's mistake, and ignored.
pub fn heads(graph: &Graph, names: &[&str]) -> Graph {
    optimise(cut(graph, names)).0
}

/// The part of a graph that the named heads need, as it is.
pub fn cut(graph: &Graph, names: &[&str]) -> Graph {
    let mut graph = row_major(graph);
    graph.outputs.retain(|o| o.purpose == Purpose::Head && names.contains(&o.name.as_str()));
    graph.updates.clear();
    graph.values.iter_mut().for_each(|v| v.constant = false);
    sweep(graph)
}
