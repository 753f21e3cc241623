//! The order of computation, and when each value is read for the last time.

use crate::graph::{Definition, Graph, Leaf, attributes};
use serde::{Deserialize, Serialize};

/// One computed value. Leaves are not listed: they are where they are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `%12 = linear{bias: true} trunk.0 trunk.0.weight trunk.0.bias`
    pub value: String,
    /// `f32[batch, 64]`
    pub shape: String,
    /// Whether its gradient is recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taped: bool,
    /// Whether it follows from fixed parameters alone: it is computed once, and kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub constant: bool,
    /// The layer, head or loss it belongs to.
    pub of: String,
    /// The computed values that nothing reads after this step. Constants are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frees: Vec<String>,
}

/// The computed values in order, with their last readers.
pub fn schedule(graph: &Graph) -> Vec<Step> {
    let last = last_reads(graph);
    let mut steps = vec![];
    for (i, value) in graph.values.iter().enumerate() {
        let Definition::Op { op, inputs } = &value.definition else { continue };
        let inputs: Vec<String> = inputs.iter().map(|id| reference(graph, id.0)).collect();
        let computed = |j: usize| matches!(graph.values[j].definition, Definition::Op { .. });
        let freed = |&j: &usize| last[j] == Some(i) && computed(j) && !graph.values[j].constant;
        let frees = (0..i).filter(freed).map(|j| format!("%{j}"));
        steps.push(Step {
            value: format!("%{i} = {}{} {}", op.name(), attributes(op), inputs.join(" ")),
            shape: value.ty.to_string(),
            taped: value.taped,
            constant: value.constant,
            of: value.path.clone(),
            frees: frees.collect(),
        });
    }
    steps
}

/// For each value, the last value that reads it; `None` when it is an output, is kept for an update, or nothing reads it.
pub fn last_reads(graph: &Graph) -> Vec<Option<usize>> {
    graph.last_reads(graph.outputs.iter().map(|o| o.value).chain(graph.updates.iter().map(|u| u.value)))
}

fn reference(graph: &Graph, id: usize) -> String {
    match &graph.values[id].definition {
        Definition::Op { .. } => format!("%{id}"),
        Definition::Leaf(Leaf::Parameter(path)) => path.clone(),
        Definition::Leaf(Leaf::Input(name) | Leaf::Target(name)) => name.clone(),
        Definition::Leaf(Leaf::Presence(name)) => format!("presence({name})"),
        Definition::Leaf(Leaf::Mask { path, .. }) => format!("mask({path})"),
        Definition::Leaf(Leaf::Share { .. }) => "share(mixup)".into(),
    }
}
