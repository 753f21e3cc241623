//! The parameters and statistics of a model, by path.

use super::noise::initial;
use crate::base::{Diagnostic, Result};
use crate::graph::{Graph, Parameter};
use crate::weights::rules::{Assigned, Rules, assign};
use crate::weights::{Array, Report, TensorFile, write_tensors};
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Every parameter of a model, in the order of the model.
///
/// Each carries a stamp, which is new whenever it may have changed: what is derived from a parameter is right as long as the
/// parameter has the stamp that it was derived at.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    arrays: IndexMap<String, (Array, Stamp)>,
    /// The newest stamp of all.
    newest: Stamp,
}

/// A moment in the life of this process at which a parameter was written.
pub type Stamp = u64;

/// No two writings have one stamp, in whatever copy of the weights they happen.
static CLOCK: AtomicU64 = AtomicU64::new(1);

impl PartialEq for Weights {
    fn eq(&self, other: &Self) -> bool {
        self.arrays.len() == other.arrays.len() && self.iter().zip(other.iter()).all(|(a, b)| a == b)
    }
}

impl FromIterator<(String, Array)> for Weights {
    fn from_iter<I: IntoIterator<Item = (String, Array)>>(arrays: I) -> Self {
        let newest = CLOCK.fetch_add(1, Ordering::Relaxed);
        Self { arrays: arrays.into_iter().map(|(path, array)| (path, (array, newest))).collect(), newest }
    }
}

impl Weights {
    /// First values for every parameter of a graph.
    pub fn initial(graph: &Graph, seed: u64) -> Self {
        let array = |(path, p): (&String, &Parameter)| {
            (path.clone(), Array { dims: p.dims.clone(), data: initial(p.init, seed, path, p.elements()) })
        };
        graph.parameters.iter().map(array).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Array)> {
        self.arrays.iter().map(|(path, (array, _))| (path, array))
    }

    /// The parameter at a path of the graph that the weights were made for.
    pub fn get(&self, path: &str) -> &Array {
        &self.arrays.get(path).unwrap_or_else(|| panic!("bug: no parameter `{path}`")).0
    }

    /// The same to write to, which gives it a new stamp.
    pub fn get_mut(&mut self, path: &str) -> &mut Array {
        self.newest = CLOCK.fetch_add(1, Ordering::Relaxed);
        let (array, stamp) = self.arrays.get_mut(path).unwrap_or_else(|| panic!("bug: no parameter `{path}`"));
        *stamp = self.newest;
        array
    }

    /// The stamp of a parameter.
    pub fn stamp(&self, path: &str) -> Stamp {
        self.arrays.get(path).map_or(0, |(_, stamp)| *stamp)
    }

    /// A stamp that changes whenever any parameter does.
    pub fn newest(&self) -> Stamp {
        self.newest
    }

    /// SHA-256 over paths, shapes and bits of the parameters that `counts` accepts.
    pub fn hash(&self, counts: impl Fn(&str) -> bool) -> String {
        let mut hash = Sha256::new();
        let mut paths: Vec<&String> = self.arrays.keys().filter(|p| counts(p)).collect();
        paths.sort();
        for path in paths {
            let array = self.get(path);
            hash.update(format!("{path}{:?}", array.dims));
            // Hashed four bytes at a time, the calls would cost more than the hash.
            for block in array.data.chunks(1024) {
                hash.update(block.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Replaces every parameter of the graph whose path begins with `prefix` by the tensor of that name in `file`.
    ///
    /// Every one must be there in its shape, and under the prefix the file must hold nothing else: a difference that nobody
    /// explained is an error.
    pub fn load(&mut self, file: &TensorFile, prefix: &str) -> Result<()> {
        let mut problems = vec![];
        self.newest = CLOCK.fetch_add(1, Ordering::Relaxed);
        for (path, (array, stamp)) in self.arrays.iter_mut().filter(|(path, _)| path.starts_with(prefix)) {
            *stamp = self.newest;
            match file.tensors.get(path) {
                None => problems.push(format!("`{path}` {:?} is missing", array.dims)),
                Some(found) if found.dims != array.dims => {
                    problems.push(format!("`{path}` is {:?}, and the model has {:?}", found.dims, array.dims));
                }
                Some(found) => array.data.clone_from(&found.data),
            }
        }
        let mut spare: Vec<&String> =
            file.tensors.keys().filter(|name| name.starts_with(prefix) && !self.arrays.contains_key(*name)).collect();
        spare.sort();
        problems.extend(
            spare.iter().map(|name| format!("`{name}` {:?} has no place in the model", file.tensors[*name].dims)),
        );
        if problems.is_empty() {
            return Ok(());
        }
        let whose = if prefix.is_empty() { "the model".into() } else { format!("`{}`", prefix.trim_end_matches('.')) };
        let diagnostic = Diagnostic::error(format!("the weights do not fit {whose}")).place(file.name.clone());
        let (shown, more) = (8, problems.len().saturating_sub(8));
        let diagnostic = problems.into_iter().take(shown).fold(diagnostic, Diagnostic::note);
        Err(if more > 0 { diagnostic.note(format!("and {more} more")) } else { diagnostic }.into())
    }

    /// Replaces the parameters of a network by the tensors of a file that these rules give them, or tells every difference. What
    /// `begins` by itself is left as it is.
    pub fn import(
        &mut self,
        file: &TensorFile,
        rules: &Rules,
        (network, begins): (&str, &dyn Fn(&str) -> bool),
        may_differ: bool,
    ) -> Result<Report> {
        let own = format!("{network}.");
        let parameters = self.iter().filter(|(path, _)| path.starts_with(&own) && !begins(path));
        let parameters: Vec<(String, Vec<usize>)> = parameters.map(|(p, a)| (p.clone(), a.dims.clone())).collect();
        let Assigned { values, report } = assign(file, rules, network, &parameters, may_differ)?;
        for (path, data) in values {
            self.get_mut(&path).data = data;
        }
        Ok(report)
    }

    /// Writes the tensors whole or not at all.
    pub fn write(&self, path: &Path, metadata: HashMap<String, String>) -> Result<()> {
        write_tensors(path, self.iter().map(|(name, a)| (name.clone(), a)), metadata)
    }
}
