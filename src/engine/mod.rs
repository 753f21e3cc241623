//! Graphs run: engines, and the weights they run with.
//!
//! An engine opens a [`Session`] for a graph; a session takes weights and a batch, and gives values and gradients. Engines mean
//! the same, and a graph that one runs the other runs too. What a session keeps between calls is memory and plans, never a
//! result that the next call depends on.

pub mod feed;
mod noise;
mod planned;
mod reference;
pub mod weights;

pub use noise::{Noise, generator};
pub use weights::Weights;

use crate::data::Batch;
use crate::graph::{Graph, ValueId};

pub trait Engine: Sync {
    /// The name that `--engine` takes.
    fn name(&self) -> &'static str;

    /// One sentence without a full stop.
    fn summary(&self) -> &'static str;

    /// Whether its sessions can tell what each value costs.
    fn measures(&self) -> bool {
        false
    }

    /// Prepares to run a graph.
    fn session<'g>(&self, graph: &'g Graph) -> Box<dyn Session + 'g>;
}

/// A graph that is ready to run, any number of times and at any batch size.
pub trait Session {
    /// Computes `wanted`; [`Session::result`] has them until the next call.
    fn forward(&mut self, weights: &Weights, batch: &Batch, wanted: &[ValueId]);

    /// Computes `wanted` as a training step does, and for each objective its gradient for every trained parameter that it reaches.
    fn backward(&mut self, weights: &Weights, batch: &Batch, noise: Noise, wanted: &[ValueId], objectives: &[ValueId]);

    /// The value of that number among those that the last call wanted, row-major.
    fn result(&self, number: usize) -> &[f32];

    /// Visits every trained parameter that an objective reaches, in the order of the graph: its path, and for each objective the
    /// gradient, where it reaches the parameter. Gradients may be changed in place.
    fn gradients(&mut self, visit: &mut Visit);

    /// Bytes of the values, gradients, and what was made of weights, that the session keeps from one call to the next; 0 where the
    /// engine keeps nothing.
    fn bytes(&self) -> usize {
        0
    }

    /// Begins to measure, and gives what was measured so far; nothing where the engine cannot tell.
    fn profile(&mut self) -> Vec<Measured> {
        vec![]
    }
}

/// What is called with a path, and the gradient of each objective.
pub type Visit<'v> = dyn FnMut(&str, &mut [Option<&mut [f32]>]) + 'v;

/// What one value of a graph cost since the profile began.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The name of the op, or `mask`.
    pub op: &'static str,
    /// The layer, head or loss it belongs to.
    pub of: String,
    /// Whether it is the pull-back that was measured.
    pub backward: bool,
    pub calls: u64,
    pub seconds: f64,
    /// Floating-point operations and bytes read or written, of all calls.
    pub flops: f64,
    pub bytes: f64,
}

/// Every engine; the first is used when none is named.
pub static ENGINES: &[&dyn Engine] = &[&planned::Planned, &reference::Reference];

/// The engine of that name.
pub fn find(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|e| e.name() == name)
}
