//! `constant_fold`: marks what follows from fixed parameters alone, so that an engine computes it once while they stay.
//!
//! Outputs are not marked: they are asked for anew each time.

use super::{Pass, told};
use crate::graph::{Definition, Graph};

pub const PASS: Pass =
    Pass { name: "constant_fold", summary: "mark what follows from fixed parameters alone as computed once", run };

fn run(mut graph: Graph) -> (Graph, String) {
    let mut kept = vec![false; graph.values.len()];
    let roots = graph.outputs.iter().map(|o| o.value).chain(graph.updates.iter().map(|u| u.value));
    roots.for_each(|id| kept[id.0] = true);
    let mut marked = 0;
    for id in graph.ids() {
        let value = graph.value(id);
        let Definition::Op { inputs, .. } = &value.definition else { continue };
        let constant =
            !kept[id.0] && !value.ty.is_batched() && !inputs.is_empty() && inputs.iter().all(|&i| graph.is_fixed(i));
        graph.values[id.0].constant = constant;
        marked += usize::from(constant);
    }
    (graph, told("marked", &[(marked, "value")]))
}
