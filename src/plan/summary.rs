//! Figures that a plan states: parameters by part, and memory.

use super::Graphs;
use super::schedule::last_reads;
use crate::graph::{Definition, Graph, Role};
use crate::model::Model;
use crate::parts::optimizers;
use serde::{Deserialize, Serialize};

/// The parameters of a backbone, of a head, or of the balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    /// Numbers that training moves, at the first epoch.
    pub trained: usize,
    pub frozen: usize,
    /// Running statistics of norms.
    pub statistics: usize,
}

/// Memory of the reference engine in bytes: an estimate from the lifetimes of all values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// At the batch of `train`: parameters, gradients, optimizer state, and what the backward pass keeps.
    pub train_bytes: u64,
    /// At the batch of `serve`: parameters and the most values alive at once.
    pub serve_bytes: u64,
}

pub fn parts(model: &Model, train: &Graph) -> Vec<Part> {
    let mut parts: Vec<Part> =
        model.networks.iter().map(|n| Part { name: n.name.clone(), ..Part::default() }).collect();
    for (path, parameter) in &train.parameters {
        let name = path.split('.').next().unwrap_or(path);
        if !parts.iter().any(|p| p.name == name) {
            parts.push(Part { name: name.into(), ..Part::default() });
        }
        let part = parts.iter_mut().find(|p| p.name == name).expect("pushed above");
        match parameter.role {
            Role::Trained => part.trained += parameter.elements(),
            Role::Frozen => part.frozen += parameter.elements(),
            Role::Statistic | Role::FrozenStatistic => part.statistics += parameter.elements(),
        }
    }
    parts
}

const F32: u64 = 4;

pub fn memory(model: &Model, graphs: &Graphs) -> Memory {
    let slots = optimizers::build(model.train.part("optimizer")).slots().len() as u64;
    let elements = |graph: &Graph, trained: bool| -> u64 {
        let counted = graph.parameters.values().filter(|p| !trained || p.role == Role::Trained);
        counted.map(|p| p.elements() as u64).sum()
    };
    let batch = model.train.size("batch");
    let state = elements(&graphs.train, false) + elements(&graphs.train, true) * (1 + slots);
    // What is taped is kept with its gradient until the backward pass has gone by.
    let taped = graphs.train.values.iter().filter(|v| v.taped && matches!(v.definition, Definition::Op { .. }));
    let kept: u64 = taped.map(|v| 2 * v.ty.elements(batch) as u64).sum();
    let train = state + kept + peak(&graphs.train, batch, |taped| !taped);
    let serve = elements(&graphs.serve, false) + peak(&graphs.serve, model.serve.size("batch"), |_| true);
    Memory { train_bytes: train * F32, serve_bytes: serve * F32 }
}

/// The most elements alive at once among the values that `counts` accepts by whether they are taped, parameters apart.
fn peak(graph: &Graph, batch: usize, counts: fn(bool) -> bool) -> u64 {
    let last = last_reads(graph);
    let size = |i: usize| graph.values[i].ty.elements(batch) as u64;
    let counted = |i: usize| counts(graph.values[i].taped) && graph.values[i].ty.is_batched();
    let (mut alive, mut most) = (0, 0);
    for i in 0..graph.values.len() {
        if counted(i) {
            alive += size(i);
        }
        most = most.max(alive);
        let freed = graph.values[i].inputs().iter().map(|id| id.0).collect::<std::collections::BTreeSet<_>>();
        alive -= freed.into_iter().filter(|&j| last[j] == Some(i) && counted(j)).map(size).sum::<u64>();
    }
    most
}

/// `1.2 MB`: bytes for a person, in powers of 1000.
pub fn bytes(n: u64) -> String {
    scaled(n as f64, &["B", "kB", "MB", "GB", "TB"])
}

/// `11.7 M`: a count for a person.
pub fn count(n: u64) -> String {
    scaled(n as f64, &["", "k", "M", "G", "T"])
}

fn scaled(mut x: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while x >= 1000.0 && unit + 1 < units.len() {
        x /= 1000.0;
        unit += 1;
    }
    let digits = if unit == 0 || x >= 100.0 {
        0
    } else if x >= 10.0 {
        1
    } else {
        2
    };
    format!("{x:.digits$} {}", units[unit]).trim_end().to_string()
}
