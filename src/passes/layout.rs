//! `layout`: gives each feature map the order in which the kernels that meet it want it.
//!
//! The pass walks forward. An op that wants its maps with their channels last gets and gives them so, an op that goes element
//! by element follows its inputs, and every other op gets them row-major; a [`Relayout`] stands wherever the order changes,
//! once for a value and an order. What leaves the graph is row-major.

use super::rewrite::{push, push_op, rewrite};
use super::{Pass, told};
use crate::base::Type;
use crate::graph::{Definition, Graph, Value, ValueId};
use crate::ops::relayout::Relayout;
use crate::ops::{Maps, Op};
use std::collections::HashMap;

pub const PASS: Pass = Pass {
    name: "layout",
    summary: "store feature maps in the order that the kernels want",
    run: |g| layout(&g, Op::maps),
};

/// The graph laid out, and what that took; `maps` says what an op on such inputs wants.
pub fn layout(graph: &Graph, maps: impl Fn(&Op, &[Type]) -> Maps) -> (Graph, String) {
    let mut converted = HashMap::new();
    let mut new = rewrite(&row_major(graph), |new, _, mut value| {
        let is_map = value.is_map();
        if let Definition::Op { op, inputs } = &mut value.definition {
            let types: Vec<Type> = inputs.iter().map(|&id| new.value(id).ty.clone()).collect();
            let channels_last = match maps(op, &types) {
                Maps::RowMajor => false,
                Maps::ChannelsLast => true,
                Maps::Any => inputs.iter().any(|&id| new.value(id).channels_last),
            };
            inputs.iter_mut().for_each(|id| *id = in_order(new, &mut converted, *id, channels_last));
            value.channels_last = channels_last && is_map;
        }
        Some(push(new, value))
    });
    for i in 0..new.outputs.len() {
        let id = new.outputs[i].value;
        new.outputs[i].value = in_order(&mut new, &mut converted, id, false);
    }
    for i in 0..new.updates.len() {
        let id = new.updates[i].value;
        new.updates[i].value = in_order(&mut new, &mut converted, id, false);
    }
    let conversions = new.values.iter().filter(|v| is_relayout(v)).count();
    let stored = new.values.iter().filter(|v| v.channels_last && !is_relayout(v)).count();
    (new, told("stored channels last:", &[(stored, "map"), (conversions, "conversion")]))
}

/// The value in that order: itself, or a conversion of it, which is made once.
fn in_order(graph: &mut Graph, converted: &mut HashMap<ValueId, ValueId>, id: ValueId, channels_last: bool) -> ValueId {
    let value = graph.value(id);
    if !value.is_map() || value.channels_last == channels_last {
        return id;
    }
    if let Some(&known) = converted.get(&id) {
        return known;
    }
    let path = value.path.clone();
    let other = push_op(graph, Relayout { channels_last }, vec![id], &path);
    graph.values[other.0].channels_last = channels_last;
    converted.insert(id, other);
    other
}

/// The graph as it was before this pass: every map row-major.
pub fn row_major(graph: &Graph) -> Graph {
    rewrite(graph, |new, _, mut value| {
        if is_relayout(&value) {
            return value.inputs().first().copied();
        }
        value.channels_last = false;
        Some(push(new, value))
    })
}

fn is_relayout(value: &Value) -> bool {
    matches!(value.definition, Definition::Op { op: Op::Relayout(_), .. })
}
