//! `fold_batch_norm`: a norm that only scales and shifts goes into the filters before it.
//!
//! With moments `m`, `v` and parameters `γ`, `β` that do not move, `batch_norm(conv(x, w) + b)` is `conv(x, w') + b'` with
//! `s = γ / √(v + ε)`, `w' = w · s` for each output channel and `b' = (b − m) · s + β`. `w'` and `b'` follow from fixed
//! parameters alone, so they are constants of the graph, and the norm costs nothing any more. Filters that are trained, or that something
//! beside the norm reads the result of, stay as they are.

use super::dead_code::sweep;
use super::rewrite::{push, push_op, readers, rewrite};
use super::{Pass, told};
use crate::graph::{Definition, Graph, Value, ValueId};
use crate::ops::batch_norm::BatchNorm;
use crate::ops::{Op, fold_bias::FoldBias, scale_filters::ScaleFilters};

pub const PASS: Pass =
    Pass { name: "fold_batch_norm", summary: "fold norms by fixed moments into the fixed filters before them", run };

fn run(graph: Graph) -> (Graph, String) {
    let readers = readers(&graph);
    let mut folded = 0;
    let new = rewrite(&graph, |new, id, value| {
        let alone = graph.value(id).inputs().first().is_some_and(|x| readers[x.0] == 1);
        if let Definition::Op { op: Op::BatchNorm(norm), inputs } = &value.definition
            && alone
            && let Some(id) = fold(new, norm, inputs)
        {
            folded += 1;
            return Some(id);
        }
        Some(push(new, value))
    });
    (sweep(new), told("folded", &[(folded, "norm")]))
}

/// What stands for the norm, when it can be folded into what computes its input.
fn fold(graph: &mut Graph, norm: &BatchNorm, inputs: &[ValueId]) -> Option<ValueId> {
    let [x, mean, var, gamma, beta, residual @ ..] = inputs else { return None };
    let Value { definition: Definition::Op { op, inputs: own }, ty, path, .. } = graph.value(*x).clone() else {
        return None;
    };
    let (axis, bias) = filters(&op, ty.rank())?;
    let fixed = own[1..].iter().chain([mean, var, gamma, beta]).all(|&id| rests(graph, id));
    if norm.own_moments || !fixed {
        return None;
    }
    let op = match op {
        Op::Conv2d(op) => Op::Conv2d(crate::ops::conv2d::Conv2d { bias: true, epilogue: norm.epilogue, ..op }),
        Op::Linear(op) => Op::Linear(crate::ops::linear::Linear { bias: true, epilogue: norm.epilogue, ..op }),
        Op::ConvTranspose2d(op) if norm.epilogue.is_empty() => {
            Op::ConvTranspose2d(crate::ops::conv_transpose2d::ConvTranspose2d { bias: true, ..op })
        }
        _ => return None,
    };
    let epsilon = norm.epsilon;
    let filters = push_op(graph, ScaleFilters { axis, epsilon }, vec![own[1], *gamma, *var], &path);
    let old_bias = own.get(2).copied();
    let moments = [*mean, *var, *gamma, *beta].into_iter().chain(old_bias).collect();
    let bias = push_op(graph, FoldBias { bias, epsilon }, moments, &path);
    let inputs = [own[0], filters, bias].into_iter().chain(residual.iter().copied()).collect();
    Some(push_op(graph, op, inputs, &path))
}

/// Whether a value is fixed, or will be called constant: it follows from fixed parameters alone.
fn rests(graph: &Graph, id: ValueId) -> bool {
    let value = graph.value(id);
    let inputs = value.inputs();
    graph.is_fixed(id) || !value.ty.is_batched() && !inputs.is_empty() && inputs.iter().all(|&i| rests(graph, i))
}

/// The axis of the weight along which the channels of the result lie, and whether there is a bias, for an op whose filters can
/// be scaled. `linear` over tokens has its channels where a norm has its positions, and the groups of a transposed convolution
/// share that axis.
fn filters(op: &Op, rank: usize) -> Option<(usize, bool)> {
    match op {
        Op::Conv2d(op) if op.epilogue.is_empty() => Some((0, op.bias)),
        Op::Linear(op) if op.epilogue.is_empty() && rank == 2 => Some((0, op.bias)),
        Op::ConvTranspose2d(op) if op.groups == 1 => Some((1, op.bias)),
        _ => None,
    }
}
