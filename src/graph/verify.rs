//! What always holds of a graph. A violation is a bug of ours, never of the user's.

use super::{Definition, Graph, Leaf, Mode, Purpose, Role};
use crate::base::{DType, Dim, Type};
use crate::ops::{Maps, Op};

/// Axes a value may have, the batch included: what the rank-typed definitions cover.
pub const MAX_RANK: usize = 4;

/// Checks every invariant; the message names the first value that breaks one.
pub fn verify(graph: &Graph) -> Result<(), String> {
    for (i, value) in graph.values.iter().enumerate() {
        let at = |what: String| Err(format!("graph `{}`: %{i} at `{}` {what}", graph.name, value.path));
        if value.ty.rank() > MAX_RANK || value.ty.dims.iter().skip(1).any(|d| *d == Dim::Batch) {
            return at(format!("has the shape {}", value.ty));
        }
        if let Some(later) = value.inputs().iter().find(|id| id.0 >= i) {
            return at(format!("reads %{}, which does not stand before it", later.0));
        }
        match &value.definition {
            Definition::Leaf(leaf) => {
                let (ty, taped) = match leaf {
                    Leaf::Parameter(path) => match graph.parameters.get(path) {
                        None => return at(format!("reads the parameter `{path}`, which is not declared")),
                        Some(p) => (Type::fixed(DType::F32, &p.dims), p.role == Role::Trained),
                    },
                    Leaf::Presence(_) => (Type::batched(DType::F32, &[]), false),
                    Leaf::Mask { .. } | Leaf::Share { .. } if graph.mode == Mode::Eval => {
                        return at("is a mask in an evaluation graph".into());
                    }
                    Leaf::Share { alpha } if !alpha.is_finite() || *alpha <= 0.0 => {
                        return at(format!("draws from Beta({alpha})"));
                    }
                    Leaf::Mask { keep, .. } if !(*keep > 0.0 && *keep <= 1.0) => return at(format!("keeps {keep}")),
                    _ => (value.ty.clone(), false),
                };
                if value.channels_last || value.constant {
                    return at("is a leaf with a mark of an op".into());
                }
                if value.ty != ty || value.taped != taped {
                    return at(format!("is {} (taped: {}), not {ty} (taped: {taped})", value.ty, value.taped));
                }
            }
            Definition::Op { op, inputs } => {
                let types: Vec<Type> = inputs.iter().map(|&id| graph.value(id).ty.clone()).collect();
                match op.signature(&types) {
                    Err(mismatch) => return at(format!("does not take its inputs: {}", mismatch.message)),
                    Ok(ty) if ty != value.ty => return at(format!("is {}, not {ty}", value.ty)),
                    Ok(_) => {}
                }
                if graph.mode == Mode::Train && !op.precision().is_f32() {
                    return at("is trained in low precision".into());
                }
                let maps = || inputs.iter().map(|&id| graph.value(id)).chain([value]).filter(|v| v.is_map());
                let fits = match op {
                    Op::Relayout(op) => value.channels_last == op.channels_last,
                    op if op.maps(&types) == Maps::RowMajor => maps().all(|v| !v.channels_last),
                    _ => maps().all(|v| v.channels_last) || maps().all(|v| !v.channels_last),
                };
                if !fits || value.channels_last && !value.is_map() {
                    return at("mixes the orders of feature maps".into());
                }
                if value.constant && !inputs.iter().all(|&id| graph.is_fixed(id)) {
                    return at("is called constant, and is not".into());
                }
                if value.taped != inputs.iter().any(|&id| graph.value(id).taped) {
                    return at("is taped though nothing below is trained, or the other way round".into());
                }
            }
        }
    }
    for output in &graph.outputs {
        let Some(value) = graph.values.get(output.value.0) else {
            return Err(format!("graph `{}`: output `{}` is no value", graph.name, output.name));
        };
        if value.channels_last || value.constant {
            return Err(format!("graph `{}`: output `{}` is not given row-major, anew", graph.name, output.name));
        }
        if output.purpose != Purpose::Head && value.ty != Type::scalar() {
            return Err(format!("graph `{}`: the loss `{}` is {}, no scalar", graph.name, output.name, value.ty));
        }
    }
    for update in &graph.updates {
        let moves = graph.parameters.get(&update.parameter);
        if graph.mode != Mode::Train || moves.is_none_or(|p| p.role != Role::Statistic) {
            return Err(format!("graph `{}`: `{}` is updated and must not be", graph.name, update.parameter));
        }
        if moves.is_some_and(|p| Type::fixed(DType::F32, &p.dims) != graph.value(update.value).ty) {
            return Err(format!("graph `{}`: `{}` is updated by another shape", graph.name, update.parameter));
        }
    }
    Ok(())
}
