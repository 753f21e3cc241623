//! `log`: `Σ w_i ln(L_i + ε)`, which no scale of a loss changes.
//!
//! The weights stand outside of the logarithms, where they have an effect.

use super::Balancer;
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::graph::Mode;
use crate::ops::balance::Formula;

pub struct Log;

static SIGNATURE: Signature = Signature {
    name: "log",
    kind: PartKind::Balancer,
    summary: "the sum of the logarithms of the losses, so that their scales do not matter",
    params: &[Param::with("epsilon", Kind::Positive, "1e-8", "what is added to a loss before its logarithm is taken")],
};

impl Balancer for Log {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn needs_nonnegative(&self) -> bool {
        true
    }

    fn formula(&self, args: &Args, _: usize, _: Mode) -> Option<Formula> {
        Some(Formula::Log { epsilon: args.float("epsilon") })
    }
}
