//! Everything that the next training step depends on, and the file that keeps it.
//!
//! A checkpoint is one safetensors file: the parameters under their paths, each state vector of the optimizer under
//! `optimizer/SLOT/PATH`, starts and averages of parameters under `start/PATH` and `average/PATH`,
//! what the balancer remembers under `balance/NAME`, and the counters as JSON in the metadata under `mtlc.state`. It is written under a temporary name and
//! renamed, so whatever stops a run, the checkpoint of the last whole epoch is there.

use crate::base::{Diagnostic, Diagnostics, Result};
use crate::engine::Weights;
use crate::parts::balancers::Own;
use crate::weights::{Array, TensorFile, write_tensors};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// The state of a run between two epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub weights: Weights,
    /// The state vectors of each trained parameter, in the order of the optimizer's slots.
    pub slots: IndexMap<String, Vec<Vec<f32>>>,
    /// Where parameters that are pulled back to their start started from.
    pub start: IndexMap<String, Vec<f32>>,
    /// The running averages of the trained parameters, where they are asked for.
    pub average: IndexMap<String, Vec<f32>>,
    /// What the balancer remembers, beside the numbers among the weights that its objective reads.
    pub balance: Own,
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
    /// Whether features could not be cached and were not: a run that is resumed does not begin with it, or its bits would differ.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncached: bool,
    /// Parameters whose start is kept, and those that are averaged.
    #[serde(default)]
    pub started: usize,
    #[serde(default)]
    pub averaged: usize,
    /// The arrays of the balancer, and how long each is.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub balance: IndexMap<String, usize>,
}

impl Counters {
    pub fn best(&self) -> Option<f64> {
        self.best.map(f64::from_bits)
    }
}

const KEY: &str = "mtlc.state";
/// What the names of tensors begin with that are no parameters of the model.
const OPTIMIZER: &str = "optimizer/";
const START: &str = "start/";
const AVERAGE: &str = "average/";
const BALANCE: &str = "balance/";

/// Leaves of a checkpoint what a model answers with: parameters, or their averages, under their paths.
pub fn leave_answers(file: &mut TensorFile) {
    let averaged: Vec<String> = file.tensors.keys().filter(|name| name.starts_with(AVERAGE)).cloned().collect();
    for name in averaged {
        let data = file.tensors.swap_remove(&name).map(|array| array.data).unwrap_or_default();
        if let Some(array) = file.tensors.get_mut(&name[AVERAGE.len()..])
            && array.data.len() == data.len()
        {
            array.data = data;
        }
    }
    file.tensors.retain(|name, _| [OPTIMIZER, START, BALANCE].iter().all(|kept| !name.starts_with(kept)));
}

impl State {
    pub fn new(weights: Weights) -> Self {
        let (slots, start, average, balance) = Default::default();
        Self { weights, slots, start, average, balance, counters: Counters::default() }
    }

    /// Lets the average of a parameter begin where the parameter is.
    pub fn begin_average(&mut self, path: &str) {
        if !self.average.contains_key(path) {
            self.average.insert(path.into(), self.weights.get(path).data.clone());
        }
    }

    /// Moves the average of a parameter towards the parameter.
    pub fn move_average(&mut self, path: &str, keep: f32) {
        for (average, now) in self.average[path].iter_mut().zip(&self.weights.get(path).data) {
            *average += (1.0 - keep) * (now - *average);
        }
    }

    /// The weights that are evaluated and served: averages where there are some, and everything else as it is. Running
    /// statistics are averages already, and stay.
    pub fn answers(&self) -> Cow<'_, Weights> {
        if self.average.is_empty() {
            return Cow::Borrowed(&self.weights);
        }
        let mut weights = self.weights.clone();
        self.average.iter().for_each(|(path, average)| weights.get_mut(path).data.clone_from(average));
        Cow::Owned(weights)
    }

    pub fn write(&self, path: &Path, slot_names: &[&str]) -> Result<()> {
        let counters = Counters {
            started: self.start.len(),
            averaged: self.average.len(),
            balance: self.balance.0.iter().map(|(name, data)| (name.clone(), data.len())).collect(),
            ..self.counters.clone()
        };
        let state = serde_json::to_string(&counters).expect("counters are plain data");
        let mut slots: Vec<(String, Array)> = vec![];
        for (parameter, vectors) in &self.slots {
            for (name, data) in slot_names.iter().zip(vectors) {
                slots.push((
                    format!("optimizer/{name}/{parameter}"),
                    Array { dims: vec![data.len()], data: data.clone() },
                ));
            }
        }
        for (kept, of) in [(START, &self.start), (AVERAGE, &self.average), (BALANCE, &self.balance.0)] {
            let array = |data: &Vec<f32>| Array { dims: vec![data.len()], data: data.clone() };
            slots.extend(of.iter().map(|(parameter, data)| (format!("{kept}{parameter}"), array(data))));
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
        let mut counters: Counters =
            serde_json::from_str(text).map_err(|e| wrong(&format!("the training state is damaged: {e}")))?;
        let (mut slots, slot_names) = (IndexMap::new(), slot_names(counters.epoch));
        for (path, array) in weights.iter() {
            let found: Option<Vec<Vec<f32>>> = slot_names
                .iter()
                .map(|slot| file.tensors.swap_remove(&format!("optimizer/{slot}/{path}")).map(|array| array.data))
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
        let [start, average] = [START, AVERAGE].map(|kept| {
            let mut whole = |path: &String, array: &Array| {
                let found = file.tensors.swap_remove(&format!("{kept}{path}")).map(|found| found.data);
                found.filter(|data| data.len() == array.data.len()).map(|data| (path.clone(), data))
            };
            weights.iter().filter_map(|(path, array)| whole(path, array)).collect::<IndexMap<_, _>>()
        });
        if (start.len(), average.len()) != (counters.started, counters.averaged) {
            return Err(wrong("starts or averages of parameters are missing or damaged").into());
        }
        (counters.started, counters.averaged) = (0, 0);
        let mut own = |(name, len): (String, usize)| {
            let found = file.tensors.swap_remove(&format!("{BALANCE}{name}")).map(|found| found.data);
            let found = found.filter(|data| data.len() == len);
            found
                .map(|data| (name.clone(), data))
                .ok_or_else(|| Diagnostics::from(wrong(&format!("`{name}` of the balancer is missing or damaged"))))
        };
        let balance = Own(std::mem::take(&mut counters.balance).into_iter().map(&mut own).collect::<Result<_>>()?);
        file.tensors.retain(|name, _| !name.starts_with(OPTIMIZER));
        weights.load(&file, "")?;
        Ok(State { weights, slots, start, average, balance, counters })
    }
}
