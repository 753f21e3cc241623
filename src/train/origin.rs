//! Where parameters start: drawn from the seed, then replaced by the weights that backbones name.

use super::checkpoint::leave_answers;
use super::run::Run;
use crate::base::{Diagnostics, Result};
use crate::engine::Weights;
use crate::engine::weights::TensorFile;
use crate::graph::Graph;
use crate::model::{Model, WeightsFrom};
use std::path::{Path, PathBuf};

/// First values for every parameter. `root` is where files of the spec start, `runs` where runs are.
pub fn first_weights(model: &Model, graph: &Graph, seed: u64, root: &Path, runs: &Path) -> Result<Weights> {
    let mut weights = Weights::initial(graph, seed);
    let mut diagnostics = Diagnostics::default();
    for network in &model.networks {
        let Some(from) = &network.weights else { continue };
        let loaded = file(&from.from, root, runs).and_then(|path| TensorFile::read(&path)).and_then(|mut file| {
            leave_answers(&mut file);
            // What an adapter adds begins by itself, where the weights were trained without it.
            for (path, _) in graph.parameters.iter().filter(|(_, p)| p.added) {
                file.tensors.entry(path.clone()).or_insert_with(|| weights.get(path).clone());
            }
            weights.load(&file, &format!("{}.", network.name))
        });
        diagnostics.take(loaded.map_err(|mut wrong| {
            wrong.0.iter_mut().for_each(|d| {
                d.labels.push(crate::base::diagnostic::Label { span: from.span, text: "these weights".into() })
            });
            wrong
        }));
    }
    diagnostics.into_result(weights)
}

fn file(from: &WeightsFrom, root: &Path, runs: &Path) -> Result<PathBuf> {
    match from {
        WeightsFrom::File(name) => Ok(root.join(name)),
        WeightsFrom::Run { model, last } => {
            let file = if *last { "last.safetensors" } else { "weights.safetensors" };
            Ok(Run::find(runs, model, None, file)?.path(file))
        }
    }
}
