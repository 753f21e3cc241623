//! What `tune` decided for each parameter: the last line that names its layer counts, setting by setting.

use crate::graph::{Graph, Parameter, Role};
use crate::model::{LearningRate, Model};
use crate::parts::optimizers::Hyper;
use std::collections::HashMap;

/// Learning rate and weight decay of every trained parameter, by path.
pub fn tuned(model: &Model, graph: &Graph, base: Hyper) -> HashMap<String, Hyper> {
    let trained = graph.parameters.iter().filter(|(_, p)| p.role == Role::Trained);
    trained.map(|(path, parameter)| (path.clone(), of(model, graph, parameter, base))).collect()
}

fn of(model: &Model, graph: &Graph, parameter: &Parameter, base: Hyper) -> Hyper {
    let Parameter { layer, kind, .. } = parameter;
    let Hyper { mut lr, mut weight_decay } = base;
    let mut layer_decay = None;
    for tune in model.tunes.iter().filter(|t| t.selection.contains(layer, kind)) {
        match tune.lr {
            Some(LearningRate::Times(x)) => lr = base.lr * x,
            Some(LearningRate::Absolute(x)) => lr = x,
            None => {}
        }
        weight_decay = tune.weight_decay.unwrap_or(weight_decay);
        layer_decay = tune.layer_decay.or(layer_decay);
    }
    if let Some(decay) = layer_decay {
        let (behind, _) = model.depth(layer, |path| graph.has_parameters(path)).unwrap_or_default();
        lr *= (0..behind).map(|_| decay).product::<f64>();
    }
    Hyper { lr, weight_decay }
}
