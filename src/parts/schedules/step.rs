//! `step`: the rate drops by a factor at regular intervals.
//!
//! `factor = gamma ^ ⌊epoch / every⌋`, as `torch.optim.lr_scheduler.StepLR` stepped once an epoch.

use super::{Progress, Schedule, WARMUP};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "step",
    kind: PartKind::Schedule,
    summary: "the rate drops by a factor every so many epochs",
    params: &[
        Param::required("every", Kind::Positive, "epochs between two drops"),
        Param::with("gamma", Kind::Positive, "0.1", "what the rate is multiplied by at each drop"),
        WARMUP,
    ],
};

pub struct Step {
    pub every: f64,
    pub gamma: f64,
}

pub fn build(args: &Args) -> Box<dyn Schedule> {
    Box::new(Step { every: args.float("every"), gamma: args.float("gamma") })
}

impl Schedule for Step {
    fn factor(&self, at: Progress) -> f64 {
        libm::pow(self.gamma, (at.epoch / self.every).floor())
    }
}
