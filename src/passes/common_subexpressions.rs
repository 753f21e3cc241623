//! `common_subexpressions`: what is computed twice from the same values is computed once.
//!
//! Values are equal when their ops with all attributes and their inputs are. Dropout masks of different layers are different
//! leaves, so what reads them stays apart.

use super::dead_code::sweep;
use super::rewrite::{push, rewrite};
use super::{Pass, told};
use crate::graph::{Definition, Graph, ValueId};
use std::collections::HashMap;

pub const PASS: Pass =
    Pass { name: "common_subexpressions", summary: "compute once what is computed twice from the same values", run };

fn run(graph: Graph) -> (Graph, String) {
    // Values that may be equal, by what they compute and from what.
    let mut known: HashMap<(&'static str, Vec<ValueId>), Vec<ValueId>> = HashMap::new();
    let mut merged = 0;
    let new = rewrite(&graph, |new, _, value| {
        let key = match &value.definition {
            Definition::Leaf(_) => ("", vec![]),
            Definition::Op { op, inputs } => (op.name(), inputs.clone()),
        };
        let alike = known.entry(key).or_default();
        let same = alike.iter().copied().find(|&id| new.value(id).definition == value.definition);
        if same.is_some() {
            merged += 1;
            return same;
        }
        alike.push(push(new, value));
        alike.last().copied()
    });
    (sweep(new), told("merged", &[(merged, "value")]))
}
