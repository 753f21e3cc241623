//! Graphs run: engines, and the weights they run with.
//!
//! An engine takes a graph, weights and a batch, and gives values and gradients; it keeps nothing between calls. Engines mean
//! the same, and a graph that one runs the other runs too.

pub mod feed;
mod noise;
mod reference;
pub mod weights;

pub use noise::{Noise, generator};
pub use weights::Weights;

use crate::data::Batch;
use crate::graph::{Graph, ValueId};
use indexmap::IndexMap;

/// What a training step gives.
pub struct Gradients {
    /// The gradient of the objective for every trained parameter, by path.
    pub parameters: IndexMap<String, Vec<f32>>,
    /// The values asked for, in that order.
    pub values: Vec<Vec<f32>>,
}

pub trait Engine: Sync {
    /// The name that `--engine` takes.
    fn name(&self) -> &'static str;

    /// One sentence without a full stop.
    fn summary(&self) -> &'static str;

    /// Computes `wanted`, each row-major.
    fn forward(&self, graph: &Graph, weights: &Weights, batch: &Batch, wanted: &[ValueId]) -> Vec<Vec<f32>>;

    /// Computes `wanted` and the gradient of the graph's objective, which must be taped.
    fn backward(&self, graph: &Graph, weights: &Weights, batch: &Batch, noise: Noise, wanted: &[ValueId]) -> Gradients;
}

/// Every engine; the first is used when none is named.
pub static ENGINES: &[&dyn Engine] = &[&reference::Reference];

/// The engine of that name.
pub fn find(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|e| e.name() == name)
}
