//! `fuse_epilogue`: a sum and an activation behind an op become its [`Epilogue`], so that its result is written once.
//!
//! `f(op(x) + r)` is what an epilogue says: the residual first, then the activation. An op takes one of each, in this order, and only
//! where nothing else reads what it would have given. Where a gradient must pass, the activation's slope must follow from its
//! result, since nothing before it is kept. Of two ops that are summed the later takes the other's result.

use super::dead_code::sweep;
use super::rewrite::{push, push_op, readers, rewrite};
use super::{Pass, told};
use crate::graph::{Definition, Graph, Mode, ValueId};
use crate::ops::Op;
use crate::ops::epilogue::{Activation, Epilogue};

pub const PASS: Pass =
    Pass { name: "fuse_epilogue", summary: "let ops add a residual and apply an activation themselves", run };

fn run(graph: Graph) -> (Graph, String) {
    let readers = readers(&graph);
    let (mut residuals, mut activations) = (0, 0);
    let new = rewrite(&graph, |new, id, value| {
        let Definition::Op { op, inputs } = &value.definition else { return Some(push(new, value)) };
        let alone: Vec<bool> = graph.value(id).inputs().iter().map(|x| readers[x.0] == 1).collect();
        if let Some(f) = Activation::of(op)
            && alone[0]
            && let Some(fused) = activate(new, inputs[0], f)
        {
            activations += 1;
            return Some(fused);
        }
        if matches!(op, Op::Add(_)) {
            let mut sides = [(inputs[0], inputs[1], alone[0]), (inputs[1], inputs[0], alone[1])];
            sides.sort_by_key(|(producer, ..)| std::cmp::Reverse(*producer));
            let fused = sides
                .into_iter()
                .filter(|(.., alone)| *alone)
                .find_map(|(producer, residual, _)| add(new, producer, residual));
            residuals += usize::from(fused.is_some());
            return fused.or_else(|| Some(push(new, value)));
        }
        Some(push(new, value))
    });
    (sweep(new), told("fused", &[(residuals, "residual"), (activations, "activation")]))
}

/// The producer with the activation behind it, if it can take one.
fn activate(graph: &mut Graph, producer: ValueId, f: Activation) -> Option<ValueId> {
    let value = graph.value(producer);
    let pulled_back = graph.mode == Mode::Train && value.taped;
    if pulled_back && !f.slope_from_result() {
        return None;
    }
    with_epilogue(graph, producer, None, |epilogue| {
        epilogue.activation.is_none().then_some(Epilogue { activation: Some(f), ..epilogue })
    })
}

/// The producer with the residual added, if it can take one. A fixed value that every example shares is none.
fn add(graph: &mut Graph, producer: ValueId, residual: ValueId) -> Option<ValueId> {
    if graph.value(producer).ty != graph.value(residual).ty {
        return None;
    }
    with_epilogue(graph, producer, Some(residual), |epilogue| {
        epilogue.is_empty().then_some(Epilogue { residual: true, activation: None })
    })
}

/// The producer once more, at the end, where everything that it may read stands before it.
fn with_epilogue(
    graph: &mut Graph,
    producer: ValueId,
    residual: Option<ValueId>,
    change: impl FnOnce(Epilogue) -> Option<Epilogue>,
) -> Option<ValueId> {
    let value = graph.value(producer);
    let Definition::Op { op, inputs } = &value.definition else { return None };
    let (mut op, inputs, path) = (op.clone(), inputs.iter().copied().chain(residual).collect(), value.path.clone());
    let epilogue = op.epilogue_mut()?;
    *epilogue = change(*epilogue)?;
    Some(push_op(graph, op, inputs, &path))
}
