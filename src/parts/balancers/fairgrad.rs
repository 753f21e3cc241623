//! `fairgrad`: the α-fair direction (Ban and Ji 2024, arXiv 2402.15638).
//!
//! The `v > 0` with `G v = v^(−1/α)`; 1 is proportional fairness, that of `nash` without its bound, and large ones come close to the
//! fairness of the worst task.

use super::quadratic::fair;
use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub struct FairGrad;

static SIGNATURE: Signature = Signature {
    name: "fairgrad",
    kind: PartKind::Balancer,
    summary: "the direction that is α-fair to the tasks",
    params: &[Param::with("alpha", Kind::Positive, "1", "how much a gain of the worst task counts")],
};

impl Balancer for FairGrad {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, turn: &mut Turn, gram: &Gram) -> Vec<f64> {
        fair(gram, turn.args.float("alpha"))
    }
}
