//! Balancers: how the losses of several tasks become the one number that training minimises. A balancer is one file and one
//! line in [`BALANCERS`].

use crate::base::signature::{Args, Signature};
use crate::graph::{Builder, ValueId};
use crate::ops::Mismatch;

mod uncertainty;
mod uniform;

/// One task's loss and the weight that the spec gives it.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    pub loss: ValueId,
    pub weight: f64,
}

pub trait Balancer: Sync {
    fn signature(&self) -> &'static Signature;

    /// The fewest tasks it makes sense for.
    fn fewest_tasks(&self) -> usize {
        2
    }

    /// Whether every loss must be at least 0.
    fn needs_nonnegative(&self) -> bool {
        false
    }

    /// Adds the objective to the graph.
    fn combine(&self, graph: &mut Builder, terms: &[Term], args: &Args) -> Result<ValueId, Mismatch>;
}

/// Every balancer, in the order of the reference.
pub static BALANCERS: &[&dyn Balancer] = &[&uniform::Uniform, &uncertainty::Uncertainty];

/// The balancer of that name.
pub fn find(name: &str) -> Option<&'static dyn Balancer> {
    BALANCERS.iter().copied().find(|b| b.signature().name == name)
}
