//! Writing a graph anew, value by value: what passes have in common.
//!
//! A pass that replaces values looks at each in order, leaves what it replaced where it was, and sweeps up behind itself with
//! [`sweep`](super::dead_code::sweep).

use crate::base::Type;
use crate::graph::{Definition, Graph, Value, ValueId};
use crate::ops::Op;

/// The graph in which `each` has decided about every value. It gets the graph so far, the value's old id, and the value with
/// its inputs in the graph so far; it says which value now stands for it, or none. What reads a value that is gone goes too.
pub fn rewrite(graph: &Graph, mut each: impl FnMut(&mut Graph, ValueId, Value) -> Option<ValueId>) -> Graph {
    let mut new = graph.clone();
    new.values.clear();
    let mut place: Vec<Option<ValueId>> = vec![None; graph.values.len()];
    for id in graph.ids() {
        let mut value = graph.value(id).clone();
        if let Definition::Op { inputs, .. } = &mut value.definition {
            let Some(moved) = inputs.iter().map(|input| place[input.0]).collect() else { continue };
            *inputs = moved;
        }
        place[id.0] = each(&mut new, id, value);
    }
    let moved = |id: ValueId| place[id.0].expect("what an output or an update reads stays");
    new.outputs.iter_mut().for_each(|o| o.value = moved(o.value));
    new.updates.iter_mut().for_each(|u| u.value = moved(u.value));
    new
}

/// Puts a value at the end.
pub fn push(graph: &mut Graph, value: Value) -> ValueId {
    graph.values.push(value);
    ValueId(graph.values.len() - 1)
}

/// Puts an op at the end, which the pass knows to fit its inputs.
pub fn push_op(graph: &mut Graph, op: impl Into<Op>, inputs: Vec<ValueId>, path: &str) -> ValueId {
    let op = op.into();
    let types: Vec<Type> = inputs.iter().map(|&id| graph.value(id).ty.clone()).collect();
    let ty = op.signature(&types).unwrap_or_else(|m| panic!("bug: a pass made a wrong op: {}", m.message));
    let taped = inputs.iter().any(|&id| graph.value(id).taped);
    let definition = Definition::Op { op, inputs };
    push(graph, Value { definition, ty, taped, channels_last: false, constant: false, path: path.into() })
}

/// How often each value is read: by values, by outputs, and by updates.
pub fn readers(graph: &Graph) -> Vec<usize> {
    let mut readers = vec![0; graph.values.len()];
    let read = graph.values.iter().flat_map(|v| v.inputs().iter().copied());
    let kept = graph.outputs.iter().map(|o| o.value).chain(graph.updates.iter().map(|u| u.value));
    read.chain(kept).for_each(|id| readers[id.0] += 1);
    readers
}
