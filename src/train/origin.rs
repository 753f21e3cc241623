//! Where parameters start: drawn from the seed, then replaced by the weights that networks name.

use super::checkpoint::leave_answers;
use super::run::Run;
use super::{config, published};
use crate::base::{Diagnostics, Result};
use crate::engine::Weights;
use crate::graph::Graph;
use crate::model::{Model, NetworkKind, WeightsFrom};
use crate::weights::{Report, TensorFile};
use std::path::{Path, PathBuf};

/// First values for every parameter, and what became of each file that a network names. `root` is where files of the spec start,
/// `runs` where runs are.
pub fn first_weights(
    model: &Model,
    graph: &Graph,
    seed: u64,
    root: &Path,
    runs: &Path,
) -> Result<(Weights, Vec<Report>)> {
    let mut weights = Weights::initial(graph, seed);
    let mut reports = vec![];
    let mut diagnostics = Diagnostics::default();
    for network in &model.networks {
        let Some(from) = &network.weights else { continue };
        let path = file(&from.from, root, runs);
        let path = path.and_then(|path| config::check(network, &path).map(|()| path));
        let loaded = path.and_then(|path| TensorFile::read(&path)).and_then(|mut file| {
            leave_answers(&mut file);
            let own = format!("{}.", network.name);
            if let WeightsFrom::Run { .. } = from.from {
                // A run is of a whole model, and only the part of that name is meant.
                file.tensors.retain(|name, _| name.starts_with(&own));
            }
            let parameters: Vec<String> =
                graph.parameters.keys().filter(|path| path.starts_with(&own)).cloned().collect();
            // What an adapter adds begins by itself, where the weights were trained without it.
            let begins = |path: &str| {
                let names = [path, path.strip_prefix(&own).unwrap_or(path)];
                graph.parameters[path].added && !names.iter().any(|name| file.tensors.contains_key(*name))
            };
            let (rules, scheme) = published::rules(model, network, &from.rules, &file, &parameters);
            let mut report =
                weights.import(&file, &rules, (&network.name, &begins), network.kind == NetworkKind::Head)?;
            report.notes.extend(scheme.map(|library| format!("names of {library}")));
            Ok(report)
        });
        reports.extend(diagnostics.take(loaded.map_err(|mut wrong| {
            wrong.0.iter_mut().for_each(|d| {
                d.labels.push(crate::base::diagnostic::Label { span: from.span, text: "these weights".into() })
            });
            wrong
        })));
    }
    diagnostics.into_result((weights, reports))
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
