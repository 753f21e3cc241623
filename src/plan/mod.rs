//! What will be computed, decided before anything runs: parameters by part, cost, memory, and the order of the values with the
//! moment at which each can be forgotten. [`Plan`] is the file `plan.yaml`: readable, stable, and diffable.

pub mod caching;
pub mod features;
pub mod fixed;
mod instruction;
mod places;
pub mod program;
mod schedule;
mod slices;
mod summary;

pub use features::{Caching, Features};
pub use schedule::{Step, schedule};
pub use summary::{Memory, Part, bytes, count, flop};

use crate::base::Result;
use crate::graph::{Graph, Mode};
use crate::lower::lower;
use crate::model::Model;
use crate::passes;
use serde::{Deserialize, Serialize};

/// The plan of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub model: String,
    /// SHA-256 of the spec's text and the overrides that were in force.
    pub spec: String,
    pub tasks: Vec<Task>,
    pub parts: Vec<Part>,
    /// Floating-point operations for one example.
    pub flops: Flops,
    pub memory: Memory,
    /// What is computed once for each example; absent where nothing is frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
    pub parameters: Vec<ParameterLine>,
    /// The training step's forward pass, at the first epoch.
    pub train: Vec<Step>,
    /// All heads, for serving.
    pub serve: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub name: String,
    pub loss: String,
    pub weight: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flops {
    pub forward: u64,
    /// Forward and backward: what lies above a trained parameter counts three times.
    pub train: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterLine {
    pub path: String,
    pub shape: Vec<usize>,
    pub role: crate::graph::Role,
}

/// The graphs that a plan is made of.
pub struct Graphs {
    /// The training step at the first epoch, from the inputs.
    pub train: Graph,
    /// The training steps of later epochs, from which on something else is trained.
    pub later: Vec<Graph>,
    /// Heads, losses and objective without training.
    pub eval: Graph,
    /// All heads and nothing else.
    pub serve: Graph,
    /// What becomes of that training step where features are cached.
    pub caching: Caching,
}

impl Graphs {
    pub fn of(model: &Model) -> Result<Graphs> {
        let [train, eval] = [lower(model, Mode::Train, 0)?, lower(model, Mode::Eval, 0)?];
        let caching = caching::of_graphs(model, 0, [&train, &eval])?;
        let later = model.turns().into_iter().skip(1);
        let later =
            later.map(|epoch| Ok(passes::optimise(lower(model, Mode::Train, epoch)?).0)).collect::<Result<_>>()?;
        let [train, eval] = [train, eval].map(|graph| passes::optimise(graph).0);
        let names: Vec<&str> = model.heads().map(|h| h.name.as_str()).collect();
        let serve = passes::heads(&eval, &names);
        Ok(Graphs { train, later, eval, serve, caching })
    }
}

impl Plan {
    /// The plan of a model; `spec` identifies the text it was made from.
    pub fn of(model: &Model, graphs: &Graphs, spec: &str) -> Plan {
        let tasks = model.terms.iter().map(|t| Task {
            name: t.name.clone(),
            loss: t.loss.signature.name.into(),
            weight: t.weight,
        });
        let parameter = |(path, p): (&String, &crate::graph::Parameter)| ParameterLine {
            path: path.clone(),
            shape: p.dims.clone(),
            role: p.role,
        };
        let forward = graphs.serve.flops();
        Plan {
            model: model.name.clone(),
            spec: spec.into(),
            tasks: tasks.collect(),
            parts: summary::parts(model, &graphs.train),
            flops: Flops { forward, train: graphs.train.step_flops() },
            memory: Memory::of(model, graphs),
            features: graphs.caching.told(&graphs.train),
            parameters: graphs.train.parameters.iter().map(parameter).collect(),
            train: schedule(&graphs.train),
            serve: schedule(&graphs.serve),
        }
    }

    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(self).expect("a plan holds nothing that YAML cannot say")
    }
}
