//! `geometric`: `(Π (L_i + ε)^(w_i))^(1/Σ w_i)`, the geometric mean of the losses (Chennupati et al. 2019, arXiv 1904.08492).

use super::Balancer;
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::graph::Mode;
use crate::ops::balance::Formula;

pub struct Geometric;

static SIGNATURE: Signature = Signature {
    name: "geometric",
    kind: PartKind::Balancer,
    summary: "the geometric mean of the losses",
    params: &[Param::with("epsilon", Kind::Positive, "1e-8", "what is added to a loss before its logarithm is taken")],
};

impl Balancer for Geometric {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn needs_nonnegative(&self) -> bool {
        true
    }

    fn formula(&self, args: &Args, _: usize, _: Mode) -> Option<Formula> {
        Some(Formula::Geometric { epsilon: args.float("epsilon") })
    }
}
