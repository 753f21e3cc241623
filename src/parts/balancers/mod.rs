//! Balancers: how the losses of several tasks become the one step that training takes. A balancer is one file and one line in
//! [`BALANCERS`].
//!
//! Every balancer adds an objective to the graph. Some see losses alone, and training descends the gradient of their objective. Others
//! see the gradient of each task, of `w_i L_i` with the weight of the spec, over the parameters that at least two tasks share; they
//! answer with one factor for each task, and the shared parameters move along the sum of the gradients times these factors. What one
//! task has for itself keeps its own gradient. A task without a label in the batch takes no part in the step.
//!
//! What a balancer learns or remembers is its own: numbers that its objective reads are one parameter of the graph in the role
//! [`Balance`](crate::graph::Role::Balance), everything else is kept in [`Own`]. Only the balancer moves them.

use crate::base::Diagnostic;
use crate::base::signature::{Args, Signature};
use crate::graph::{Builder, Init, Mode, Role, ValueId};
use crate::ops::balance::{Balance, Formula};
use crate::ops::{Mismatch, weighted_sum::WeightedSum};
use rand_chacha::ChaCha8Rng;

mod aligned;
mod cagrad;
mod config;
mod db_mtl;
mod dualproj;
mod dwa;
mod excess;
mod fairgrad;
mod famo;
mod geometric;
mod graddrop;
mod gradnorm;
mod gradvac;
mod gram;
mod imtl_g;
mod imtl_l;
mod linear_algebra;
mod log;
mod mgda;
mod nash;
mod own;
mod pcgrad;
mod quadratic;
mod random;
mod sdmgrad;
mod smooth;
mod stch;
mod uncertainty;
mod uniform;
mod upgrad;

pub use gram::Gram;
pub use own::Own;

/// One task's loss, the presence of its labels, and the weight that the spec gives it.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    pub loss: ValueId,
    pub presence: ValueId,
    pub weight: f64,
}

/// What a balancer looks at in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// The losses. One backward pass, of the objective.
    Losses,
    /// The products of the tasks' gradients with one another. A backward pass for each task.
    Products,
    /// The same, and the gradients themselves, which it may change before they are multiplied and added up.
    Gradients,
    /// The products of the gradients of one half of the batch with those of the other. Two backward passes for each task, over half
    /// a batch each.
    Halves,
}

/// One step, as a balancer meets it.
pub struct Turn<'a> {
    pub args: &'a Args,
    pub own: &'a mut Own,
    /// The numbers that the objective reads, one a task; none where it reads none.
    pub numbers: &'a mut [f32],
    /// The tasks that have a label in this batch, in their order.
    pub tasks: &'a [usize],
    /// The loss of every task, present or not; before the step nothing is known of them.
    pub losses: &'a [f64],
    /// The weight of every task in the spec.
    pub weights: &'a [f64],
    /// A generator for a purpose, the same whenever the step is taken.
    pub random: &'a dyn Fn(&str) -> ChaCha8Rng,
}

/// The gradients of one parameter: a row for each task that reaches it.
pub type Rows<'a, 'b> = &'a mut [Option<&'b mut [f32]>];

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

    /// What is wrong with the arguments for so many tasks, beyond what the signature says.
    fn check(&self, _args: &Args, _tasks: usize) -> Option<Diagnostic> {
        None
    }

    fn sees(&self, _args: &Args) -> Sees {
        Sees::Losses
    }

    /// The formula of the objective, which is also what early stopping and the best checkpoint go by; without one it is the weighted
    /// sum of the spec.
    fn formula(&self, _args: &Args, _tasks: usize, _mode: Mode) -> Option<Formula> {
        None
    }

    /// The name of the numbers that the formula reads, and what they begin with.
    fn numbers(&self) -> Option<(&'static str, Init)> {
        None
    }

    /// Before the losses of a step are computed.
    fn begin(&self, _turn: &mut Turn) {}

    /// What the gradient of the objective is multiplied by.
    fn scale(&self, _turn: &mut Turn) -> f64 {
        1.0
    }

    /// What the gradient of each `L_i` is multiplied by before the balancer sees it: the weight of the spec, unless its tasks are other
    /// functions of the losses.
    fn factor(&self, turn: &Turn, task: usize) -> f64 {
        turn.weights[task]
    }

    /// Looks at the gradients of a shared parameter, already multiplied by their factors, and may change them.
    fn observe(&self, _turn: &mut Turn, _path: &str, _rows: Rows) {}

    /// A factor for the gradient of each task of the turn, from their products. Nothing here is a number that is not finite, and no
    /// answer may be.
    fn weigh(&self, turn: &mut Turn, _gram: &Gram) -> Vec<f64> {
        vec![1.0; turn.tasks.len()]
    }

    /// Whether it wants to know the losses of the same batch after the step.
    fn looks_back(&self) -> bool {
        false
    }

    /// Behind the step; `after` has the losses then, for who looks back.
    fn end(&self, _turn: &mut Turn, _after: &[f64]) {}

    /// Behind the last step of an epoch.
    fn epoch_ends(&self, _turn: &mut Turn) {}
}

/// The path of the numbers that an objective reads.
pub fn path(name: &str) -> String {
    format!("balance.{name}")
}

/// Adds the objective to the graph.
pub fn combine(balancer: &dyn Balancer, graph: &mut Builder, terms: &[Term], args: &Args) -> Result<ValueId, Mismatch> {
    let mut inputs: Vec<ValueId> = terms.iter().map(|t| t.loss).collect();
    let weights = terms.iter().map(|t| t.weight).collect();
    if balancer.sees(args) != Sees::Losses {
        graph.by_task();
    }
    let numbers = balancer
        .numbers()
        .map(|(name, init)| graph.parameter(&path(name), &[terms.len()], init, Role::Balance, "balancer"));
    match balancer.formula(args, terms.len(), graph.mode()) {
        None => graph.op(WeightedSum { weights }, &inputs, "objective"),
        Some(formula) => {
            inputs.extend(terms.iter().map(|t| t.presence));
            inputs.extend(numbers.filter(|_| formula.has_numbers()));
            graph.op(Balance { formula, weights }, &inputs, "objective")
        }
    }
}

/// Every balancer, in the order of the reference.
pub static BALANCERS: &[&dyn Balancer] = &[
    &uniform::Uniform,
    &log::Log,
    &geometric::Geometric,
    &random::Random,
    &uncertainty::Uncertainty,
    &imtl_l::ImtlL,
    &dwa::Dwa,
    &famo::Famo,
    &stch::Stch,
    &gradnorm::GradNorm,
    &mgda::Mgda,
    &pcgrad::PcGrad,
    &gradvac::GradVac,
    &graddrop::GradDrop,
    &imtl_g::ImtlG,
    &cagrad::CaGrad,
    &nash::Nash,
    &fairgrad::FairGrad,
    &aligned::Aligned,
    &upgrad::UpGrad,
    &dualproj::DualProj,
    &config::Config,
    &sdmgrad::SdmGrad,
    &excess::Excess,
    &db_mtl::DbMtl,
    &smooth::Smooth,
];

/// The balancer of that name.
pub fn find(name: &str) -> Option<&'static dyn Balancer> {
    BALANCERS.iter().copied().find(|b| b.signature().name == name)
}
