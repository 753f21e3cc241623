//! Everything that the next training step depends on, and the file that keeps it.
//!
//! A checkpoint is one safetensors file: the parameters under their paths, each state vector of the optimizer under
//! `optimizer/SLOT/PATH`, and the counters as JSON in the metadata under `mtlc.state`. It is written under a temporary name and
//! renamed, so whatever stops a run, the checkpoint of the last whole epoch is there.

use crate::base::{Diagnostic, Result};
use crate::engine::Weights;
use crate::engine::weights::{Array, TensorFile, write_tensors};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The state of a run between two epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub weights: Weights,
    /// The state vectors of each trained parameter, in the order of the optimizer's slots.
    pub slots: IndexMap<String, Vec<Vec<f32>>>,
    pub counters: Counters,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// Updates of each parameter, which count from its thawing.
    pub updates: IndexMap<String, u64>,
    /// The best validation objective so far, as bits, so that it survives exactly.
    pub best: Option<u64>,
    pub best_epoch: u64,
}

impl Counters {
    pub fn best(&self) -> Option<f64> {
        self.best.map(f64::from_bits)
    }
}

const KEY: &str = "mtlc.state";

impl State {
    pub fn new(weights: Weights) -> Self {
        Self { weights, slots: IndexMap::new(), counters: Counters::default() }
    }

    pub fn write(&self, path: &Path, slot_names: &[&str]) -> Result<()> {
        let state = serde_json::to_string(&self.counters).expect("counters are plain data");
        let mut slots: Vec<(String, Array)> = vec![];
        for (parameter, vectors) in &self.slots {
            for (name, data) in slot_names.iter().zip(vectors) {
                slots.push((
                    format!("optimizer/{name}/{parameter}"),
                    Array { dims: vec![data.len()], data: data.clone() },
                ));
            }
        }
        let tensors = self.weights.iter().map(|(name, array)| (name.clone(), array));
        let all = tensors.chain(slots.iter().map(|(name, array)| (name.clone(), array)));
        write_tensors(path, all, HashMap::from([(KEY.into(), state)]))
    }

    /// Puts the optimizer back to where it has seen no gradient.
    pub fn forget_optimizer(&mut self) {
        self.slots.clear();
        self.counters.updates.clear();
    }

    /// The state in a checkpoint, for a model whose fresh weights are given. `slot_names` gives those of the optimizer that goes
    /// on after so many epochs.
    pub fn read<'n>(path: &Path, mut weights: Weights, slot_names: impl Fn(u64) -> &'n [&'n str]) -> Result<State> {
        let mut file = TensorFile::read(path)?;
        let wrong = |what: &str| Diagnostic::error(what.to_string()).place(path.display().to_string());
        let text = file.metadata.get(KEY).ok_or_else(|| wrong("this file holds weights, but no training state"))?;
        let counters: Counters =
            serde_json::from_str(text).map_err(|e| wrong(&format!("the training state is damaged: {e}")))?;
        let (mut slots, slot_names) = (IndexMap::new(), slot_names(counters.epoch));
        for (path, array) in weights.iter() {
            let found: Option<Vec<Vec<f32>>> = slot_names
                .iter()
                .map(|slot| file.tensors.remove(&format!("optimizer/{slot}/{path}")).map(|array| array.data))
                .collect();
            let whole = found.filter(|vectors| vectors.iter().all(|v| v.len() == array.data.len()));
            match (whole, counters.updates.contains_key(path)) {
                (Some(vectors), true) => drop(slots.insert(path.clone(), vectors)),
                (None, true) => {
                    return Err(wrong(&format!("the optimizer's state of `{path}` is missing or damaged")).into());
                }
                (_, false) => {}
            }
        }
        file.tensors.retain(|name, _| !name.starts_with("optimizer/"));
        weights.load(&file, "")?;
        Ok(State { weights, slots, counters })
    }
}
