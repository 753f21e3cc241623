//! `dead_code`: drops every value, and every parameter, that no output and no update needs.

use super::Pass;
use crate::graph::{Definition, Graph, Leaf, ValueId};
use std::collections::HashSet;

pub const PASS: Pass = Pass { name: "dead_code", summary: "drop what no output and no update needs", run };

fn run(mut graph: Graph) -> Graph {
    let mut needed = vec![false; graph.values.len()];
    let roots = graph.outputs.iter().map(|o| o.value).chain(graph.updates.iter().map(|u| u.value));
    roots.for_each(|id| needed[id.0] = true);
    // Inputs stand before what is computed from them, so one walk from the back meets every reader first.
    for i in (0..graph.values.len()).rev() {
        if needed[i] {
            graph.values[i].inputs().iter().for_each(|input| needed[input.0] = true);
        }
    }
    let mut place = vec![ValueId(usize::MAX); graph.values.len()];
    let mut kept = vec![];
    for (i, mut value) in std::mem::take(&mut graph.values).into_iter().enumerate().filter(|(i, _)| needed[*i]) {
        if let Definition::Op { inputs, .. } = &mut value.definition {
            inputs.iter_mut().for_each(|id| *id = place[id.0]);
        }
        place[i] = ValueId(kept.len());
        kept.push(value);
    }
    let read: HashSet<&str> = kept
        .iter()
        .filter_map(|v| {
            if let Definition::Leaf(Leaf::Parameter(path)) = &v.definition { Some(path.as_str()) } else { None }
        })
        .chain(graph.updates.iter().map(|u| u.parameter.as_str()))
        .collect();
    graph.parameters.retain(|path, _| read.contains(path.as_str()));
    graph.values = kept;
    graph.outputs.iter_mut().for_each(|o| o.value = place[o.value.0]);
    graph.updates.iter_mut().for_each(|u| u.value = place[u.value.0]);
    graph
}
