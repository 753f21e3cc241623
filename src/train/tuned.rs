//! What `tune` decided for each parameter: the last line that names its layer counts, setting by setting.

use crate::graph::{Graph, Parameter, Role};
use crate::model::{LearningRate, Model};
use crate::parts::optimizers::Hyper;
use std::collections::HashMap;

/// How one parameter is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// Before the schedule.
    pub hyper: Hyper,
    /// Strength `α` of the penalty `α/2 · ‖w − w⁰‖²`, with `w⁰` where the parameter started (Li et al. 2018, arXiv 1802.01483).
    pub l2sp: Option<f64>,
}

/// How every trained parameter is trained, by path.
pub fn tuned(model: &Model, graph: &Graph, base: Hyper) -> HashMap<String, Tuned> {
    let trained = graph.parameters.iter().filter(|(_, p)| p.role == Role::Trained);
    trained.map(|(path, parameter)| (path.clone(), of(model, graph, parameter, base))).collect()
}

fn of(model: &Model, graph: &Graph, parameter: &Parameter, base: Hyper) -> Tuned {
    let Parameter { layer, kind, .. } = parameter;
    let Hyper { mut lr, mut weight_decay } = base;
    let (mut layer_decay, mut l2sp) = (None, None);
    for tune in model.tunes.iter().filter(|t| t.selection.contains(layer, kind)) {
        match tune.lr {
            Some(LearningRate::Times(x)) => lr = base.lr * x,
            Some(LearningRate::Absolute(x)) => lr = x,
            None => {}
        }
        weight_decay = tune.weight_decay.unwrap_or(weight_decay);
        l2sp = tune.l2sp.or(l2sp);
        layer_decay = tune.layer_decay.or(layer_decay);
    }
    if let Some(decay) = layer_decay {
        let (behind, _) = model.depth(layer, |path| graph.has_parameters(path)).unwrap_or_default();
        lr *= (0..behind).map(|_| decay).product::<f64>();
    }
    Tuned { hyper: Hyper { lr, weight_decay }, l2sp: l2sp.filter(|strength| *strength > 0.0) }
}
