//! Figures that a plan states: parameters by part, and memory.

use super::program::{backward, forward};
use super::{Graphs, features, fixed};
use crate::graph::{Graph, Parameter, Role, Value};
use crate::model::{Model, Phase};
use crate::parts::optimizers;
use serde::{Deserialize, Serialize};

/// The parameters of a backbone, of a head, or of the balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    /// Numbers that training moves, at the first epoch.
    pub trained: usize,
    pub frozen: usize,
    /// Running statistics of norms, and numbers of the balancer.
    pub statistics: usize,
}

/// Memory of the planned engine in bytes. Rows that wait to be computed, and what a kernel or a definition needs while it runs,
/// come on top. In low precision what is kept of weights is less.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// At the batch of `train`: parameters, optimizer state, the arena, which holds values and gradients, and what is kept of
    /// weights that do not move. Where features are cached, computing them may take the larger arena.
    pub train_bytes: u64,
    /// At the batch of `serve`: parameters, the arena, and what is kept of weights: constants, and packed or transformed filters.
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
            Role::Statistic | Role::FrozenStatistic | Role::Balance => part.statistics += parameter.elements(),
        }
    }
    parts
}

const F32: u64 = 4;

impl Memory {
    /// The memory of a model at the batches that its spec names.
    pub fn of(model: &Model, graphs: &Graphs) -> Memory {
        Self::at(model, graphs, model.train.size("batch"))
    }

    /// The same when no batch has more than `rows`.
    pub fn within(model: &Model, graphs: &Graphs, rows: usize) -> Memory {
        Self::at(model, graphs, model.train.size("batch").min(rows))
    }

    fn at(model: &Model, graphs: &Graphs, batch: usize) -> Memory {
        let slots = |phase: &Phase| optimizers::build(phase.optimizer).slots().len() as u64;
        let slots = model.phases().iter().map(slots).max().unwrap_or(0);
        let elements = |graph: &Graph, trained: bool| {
            let counted = graph.parameters.values().filter(|p| !trained || p.role == Role::Trained);
            sum(counted.map(|p| p.elements() as u64))
        };
        let slots = slots.saturating_add(u64::from(model.train.has("ema")));
        let pulled =
            |p: &Parameter| model.tunes.iter().any(|t| t.l2sp.is_some() && t.selection.contains(&p.layer, &p.kind));
        let training = |graph: &Graph, room: u64| {
            let trained = graph.parameters.values().filter(|p| p.role == Role::Trained);
            let starts = sum(trained.filter(|p| pulled(p)).map(|p| p.elements() as u64));
            let state = elements(graph, true).saturating_mul(slots).saturating_add(starts);
            sum([elements(graph, false), state, room].into_iter())
        };
        let room = match graphs.caching.cut() {
            // Features are computed before anything is trained, in an arena that is gone by then.
            Some(cut) => {
                program(&cut.train, batch, true).max(program(&cut.features, features::rows(&cut.features), false))
            }
            None => program(&graphs.train, batch, true),
        };
        // What is trained may change from epoch to epoch, and the most that is held at a time counts.
        let later = graphs.later.iter().map(|graph| training(graph, program(graph, batch, true)));
        let train = later.chain([training(&graphs.train, room)]).max().unwrap_or(0);
        let serving = program(&graphs.serve, model.serve.size("batch"), false);
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

/// More numbers than any machine holds. A program is not laid out for them.
const TOO_MANY: u128 = 1 << 44;

/// Numbers that the planned engine holds for one program: its arena, and what it keeps of weights.
fn program(graph: &Graph, batch: usize, trains: bool) -> u64 {
    let all: u128 = graph.values.iter().map(|v| u128::from(size(v, batch))).sum();
    if all > TOO_MANY {
        return u64::try_from(all).unwrap_or(u64::MAX);
    }
    let heads = || graph.outputs.iter().map(|o| o.value).collect::<Vec<_>>();
    let program = if trains {
        backward(graph, batch, &graph.step_results(), &graph.descended())
    } else {
        forward(graph, batch, &heads())
    };
    (program.arena as u64).saturating_add(fixed::kept(graph, &program, trains))
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
