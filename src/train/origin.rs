//! Where parameters start: drawn from the seed, then replaced by the weights that networks name.

use super::checkpoint::leave_answers;
use super::run::Run;
use super::{config, published};
use crate::base::{Diagnostic, Diagnostics, Result};
use crate::engine::Weights;
use crate::graph::Graph;
use crate::model::{Model, NetworkKind, WeightsFrom};
use crate::weights::{Report, TensorFile};
use std::collections::BTreeSet;
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
            if let WeightsFrom::Run { network: theirs, model, .. } = &from.from {
                take_network(&mut file, model, theirs.as_ref().unwrap_or(&network.name), &network.name)?;
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

/// Leaves of a run, which is of a whole model, one network, under the name that it has here.
fn take_network(file: &mut TensorFile, model: &str, theirs: &str, own: &str) -> Result<()> {
    let networks: BTreeSet<&str> = file.tensors.keys().filter_map(|name| name.split('.').next()).collect();
    if theirs != own && !networks.contains(theirs) {
        let missing = Diagnostic::error(format!("the run of `{model}` has no network `{theirs}` with parameters"));
        return Err(missing.place(file.name.clone()).suggest(theirs, networks).into());
    }
    let below = |name: &str| name.strip_prefix(theirs).is_some_and(|rest| rest.starts_with('.'));
    let tensors = std::mem::take(&mut file.tensors).into_iter().filter(|(name, _)| below(name));
    file.tensors = tensors.map(|(name, array)| (format!("{own}{}", &name[theirs.len()..]), array)).collect();
    Ok(())
}

fn file(from: &WeightsFrom, root: &Path, runs: &Path) -> Result<PathBuf> {
    match from {
        WeightsFrom::File(name) => Ok(root.join(name)),
        WeightsFrom::Run { model, last, .. } => {
            let file = if *last { "last.safetensors" } else { "weights.safetensors" };
            Ok(Run::find(runs, model, None, file)?.path(file))
        }
    }
}
