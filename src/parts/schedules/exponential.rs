//! `exponential`: the rate changes by the same factor every epoch, a little at each step.
//!
//! `factor = gamma ^ epoch`, equal to `torch.optim.lr_scheduler.ExponentialLR` where an epoch begins.

use super::{Progress, Schedule, WARMUP};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "exponential",
    kind: PartKind::Schedule,
    summary: "the rate changes by the same factor every epoch",
    params: &[Param::required("gamma", Kind::Positive, "what an epoch multiplies the rate by"), WARMUP],
};

pub struct Exponential {
    pub gamma: f64,
}

pub fn build(args: &Args) -> Box<dyn Schedule> {
    Box::new(Exponential { gamma: args.float("gamma") })
}

impl Schedule for Exponential {
    fn factor(&self, at: Progress) -> f64 {
        libm::pow(self.gamma, at.epoch)
    }
}
