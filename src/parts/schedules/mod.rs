//! Schedules: how the learning rate changes over a training run.
//!
//! A schedule is a pure function from [`Progress`] to a factor on the base rate. It keeps no state, so a resumed run goes on
//! exactly where it stopped.
//!
//! Every schedule may begin with a warm-up of `w` epochs, in which the factor rises linearly from 0 at the first step to the
//! schedule's first factor. The schedule's own time begins when the warm-up ends: it sees `epoch − w` of `epochs − w`.

pub mod constant;
pub mod cosine;
pub mod exponential;
pub mod linear;
pub mod step;

use crate::base::signature::{Args, Call, Kind, Param, Signature};

pub trait Schedule: Send + Sync {
    /// What to multiply the base rate by.
    fn factor(&self, at: Progress) -> f64;
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Epochs done, with the share of the current one: 2.5 halfway through the third.
    pub epoch: f64,
    /// Epochs in all.
    pub epochs: f64,
}

impl Progress {
    /// The share of the run that is done, from 0 to 1.
    pub fn share(self) -> f64 {
        // A run of no epochs is at its end.
        if self.epochs > 0.0 { (self.epoch / self.epochs).clamp(0.0, 1.0) } else { 1.0 }
    }
}

/// The parameter that every schedule declares, last.
const WARMUP: Param = Param::with("warmup", Kind::NonNegative, "0", "epochs in which the rate rises linearly from 0");

struct Entry {
    signature: &'static Signature,
    build: fn(&Args) -> Box<dyn Schedule>,
}

/// Every schedule.
static LIST: &[Entry] = &[
    Entry { signature: &constant::SIGNATURE, build: constant::build },
    Entry { signature: &step::SIGNATURE, build: step::build },
    Entry { signature: &cosine::SIGNATURE, build: cosine::build },
    Entry { signature: &linear::SIGNATURE, build: linear::build },
    Entry { signature: &exponential::SIGNATURE, build: exponential::build },
];

pub fn signatures() -> Vec<&'static Signature> {
    LIST.iter().map(|entry| entry.signature).collect()
}

/// The schedule that a checked call names, with its warm-up.
pub fn build(call: &Call) -> Box<dyn Schedule> {
    let name = call.signature.name;
    let entry = LIST.iter().find(|entry| entry.signature.name == name);
    let schedule =
        (entry.unwrap_or_else(|| panic!("bug: `{name}` passed the checker as a schedule")).build)(&call.args);
    Box::new(Warmup { epochs: call.args.float(WARMUP.name), then: schedule })
}

/// A warm-up, and then a schedule.
struct Warmup {
    epochs: f64,
    then: Box<dyn Schedule>,
}

impl Schedule for Warmup {
    fn factor(&self, at: Progress) -> f64 {
        let rise = if at.epoch < self.epochs { at.epoch / self.epochs } else { 1.0 };
        let epoch = (at.epoch - self.epochs).max(0.0);
        rise * self.then.factor(Progress { epoch, epochs: at.epochs - self.epochs })
    }
}
