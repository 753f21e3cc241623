//! `linear`: the rate falls on a straight line to its floor at the end of the run.
//!
//! `factor = 1 − (1 − floor) · epoch / epochs`, the usual schedule for fine-tuning BERT (Devlin et al., 2019).

use super::{Progress, Schedule, WARMUP};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "linear",
    kind: PartKind::Schedule,
    summary: "the rate falls on a straight line",
    params: &[Param::with("floor", Kind::Fraction, "0", "share of the base rate that is left at the end"), WARMUP],
};

pub struct Linear {
    pub floor: f64,
}

pub fn build(args: &Args) -> Box<dyn Schedule> {
    Box::new(Linear { floor: args.float("floor") })
}

impl Schedule for Linear {
    fn factor(&self, at: Progress) -> f64 {
        1.0 - (1.0 - self.floor) * at.share()
    }
}
