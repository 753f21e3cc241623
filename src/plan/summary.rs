//! Figures that a plan states: parameters by part, and memory.

use super::Graphs;
use super::schedule::last_reads;
use crate::graph::{Definition, Graph, Role, Value};
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

impl Memory {
    /// The estimate for a model at the batches that its spec names.
    pub fn of(model: &Model, graphs: &Graphs) -> Memory {
        Self::at(model, graphs, model.train.size("batch"))
    }

    /// The same when no batch has more than `rows`.
    pub fn within(model: &Model, graphs: &Graphs, rows: usize) -> Memory {
        Self::at(model, graphs, model.train.size("batch").min(rows))
    }

    fn at(model: &Model, graphs: &Graphs, batch: usize) -> Memory {
        let slots = optimizers::build(model.train.part("optimizer")).slots().len() as u64;
        let elements = |graph: &Graph, trained: bool| {
            let counted = graph.parameters.values().filter(|p| !trained || p.role == Role::Trained);
            sum(counted.map(|p| p.elements() as u64))
        };
        let trained = elements(&graphs.train, true).saturating_mul(1 + slots);
        // What is taped is kept with its gradient until the backward pass has gone by.
        let taped = graphs.train.values.iter().filter(|v| v.taped && matches!(v.definition, Definition::Op { .. }));
        let kept = sum(taped.map(|v| size(v, batch).saturating_mul(2)));
        let passing = peak(&graphs.train, batch, |taped| !taped);
        let train = sum([elements(&graphs.train, false), trained, kept, passing].into_iter());
        let serving = peak(&graphs.serve, model.serve.size("batch"), |_| true);
        let serve = elements(&graphs.serve, false).saturating_add(serving);
        Memory { train_bytes: train.saturating_mul(F32), serve_bytes: serve.saturating_mul(F32) }
    }
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

/// Elements of a value. One example of it is bounded, but the batch is what the user says.
fn size(value: &Value, batch: usize) -> u64 {
    let per_example = value.ty.elements(1) as u64;
    if value.ty.is_batched() { per_example.saturating_mul(batch as u64) } else { per_example }
}

/// The most elements alive at once among the values that `counts` accepts by whether they are taped, parameters apart.
fn peak(graph: &Graph, batch: usize, counts: fn(bool) -> bool) -> u64 {
    let last = last_reads(graph);
    let size = |i: usize| size(&graph.values[i], batch);
    let counted = |i: usize| counts(graph.values[i].taped) && graph.values[i].ty.is_batched();
    // Wide enough that no sum of sizes can overflow.
    let (mut alive, mut most) = (0u128, 0u128);
    for i in 0..graph.values.len() {
        if counted(i) {
            alive += u128::from(size(i));
        }
        most = most.max(alive);
        let freed = graph.values[i].inputs().iter().map(|id| id.0).collect::<std::collections::BTreeSet<_>>();
        alive -=
            freed.into_iter().filter(|&j| last[j] == Some(i) && counted(j)).map(|j| u128::from(size(j))).sum::<u128>();
    }
    u64::try_from(most).unwrap_or(u64::MAX)
}

/// `1.2 MB`: bytes for a person, in powers of 1000.
pub fn bytes(n: u64) -> String {
    scaled(n as f64, &["B", "kB", "MB", "GB", "TB"])
}

/// `11.7 M`: a count for a person.
pub fn count(n: u64) -> String {
    scaled(n as f64, &["", "k", "M", "G", "T"])
}

/// `1.3 MFLOP`: floating-point operations for a person.
pub fn flop(n: u64) -> String {
    scaled(n as f64, &["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"])
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
