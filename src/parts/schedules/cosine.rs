//! `cosine`: the rate falls along half a cosine wave, slowly at both ends.
//!
//! `factor = floor + (1 − floor) · (1 + cos(π · epoch / epochs)) / 2`.
//! Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017), without restarts.

use super::{Progress, Schedule, WARMUP};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use std::f64::consts::PI;

pub static SIGNATURE: Signature = Signature {
    name: "cosine",
    kind: PartKind::Schedule,
    summary: "the rate falls along half a cosine wave",
    params: &[Param::with("floor", Kind::Fraction, "0", "share of the base rate that is left at the end"), WARMUP],
};

pub struct Cosine {
    pub floor: f64,
}

pub fn build(args: &Args) -> Box<dyn Schedule> {
    Box::new(Cosine { floor: args.float("floor") })
}

impl Schedule for Cosine {
    fn factor(&self, at: Progress) -> f64 {
        self.floor + (1.0 - self.floor) * 0.5 * (1.0 + libm::cos(PI * at.share()))
    }
}
