//! Optimizers: how a parameter moves along its gradient.
//!
//! An optimizer is a formula over one parameter, its gradient and a few state vectors of the same length, its *slots*. It
//! owns no state: slots begin as zeros, and the caller keeps them and writes them to checkpoints under the names that
//! [`Optimizer::slots`] gives. The learning rate comes with each update, since schedules, tuned parts and warm-up all change it.
//!
//! Every formula and its rounding follow `torch.optim` on the CPU: scalars are computed in 64 bits and rounded once, and
//! elements are computed in 32 bits, each independent of the others, so any split of a vector gives the same bits.

pub mod adam;
pub mod adamw;
pub mod clip;
pub mod rmsprop;
pub mod sgd;

use crate::base::Diagnostic;
use crate::base::signature::{Args, Call, Signature};

pub trait Optimizer: Send + Sync {
    /// The names of the state vectors of a parameter, each as long as the parameter and zero at first.
    fn slots(&self) -> &'static [&'static str];

    /// Moves `parameter` by one step.
    ///
    /// `step` counts the updates of this parameter from 1, so a part that is unfrozen late starts with 1. `slots` are in the
    /// order of [`Optimizer::slots`]; all vectors have the length of `parameter`.
    fn update(&self, step: u64, hyper: Hyper, parameter: &mut [f32], gradient: &[f32], slots: &mut [Vec<f32>]);
}

/// What may differ from parameter to parameter and from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyper {
    pub lr: f64,
    pub weight_decay: f64,
}

struct Entry {
    signature: &'static Signature,
    build: fn(&Args) -> Box<dyn Optimizer>,
}

/// Every optimizer.
static LIST: &[Entry] = &[
    Entry { signature: &sgd::SIGNATURE, build: sgd::build },
    Entry { signature: &adam::SIGNATURE, build: adam::build },
    Entry { signature: &adamw::SIGNATURE, build: adamw::build },
    Entry { signature: &rmsprop::SIGNATURE, build: rmsprop::build },
];

pub fn signatures() -> Vec<&'static Signature> {
    LIST.iter().map(|entry| entry.signature).collect()
}

/// The optimizer that a checked call names.
pub fn build(call: &Call) -> Box<dyn Optimizer> {
    let name = call.signature.name;
    let entry = LIST.iter().find(|entry| entry.signature.name == name);
    (entry.unwrap_or_else(|| panic!("bug: `{name}` passed the checker as an optimizer")).build)(&call.args)
}

/// The base learning rate and weight decay of a checked call, before schedules and tuned rates.
pub fn hyper(call: &Call) -> Hyper {
    Hyper { lr: call.args.float("lr"), weight_decay: call.args.float("weight_decay") }
}

/// What is wrong with arguments that fit one by one, but not together.
pub fn check(call: &Call) -> Option<Diagnostic> {
    if call.signature.name == sgd::SIGNATURE.name { sgd::check(call) } else { None }
}
