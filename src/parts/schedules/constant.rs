//! `constant`: the base rate throughout. Its use is the warm-up before it.

use super::{Progress, Schedule, WARMUP};
use crate::base::signature::{Args, PartKind, Signature};

pub static SIGNATURE: Signature =
    Signature { name: "constant", kind: PartKind::Schedule, summary: "the same rate throughout", params: &[WARMUP] };

pub struct Constant;

pub fn build(_args: &Args) -> Box<dyn Schedule> {
    Box::new(Constant)
}

impl Schedule for Constant {
    fn factor(&self, _at: Progress) -> f64 {
        1.0
    }
}
