//! `imtl_l`: `Σ w_i (e^(s_i) L_i − s_i)`, with one learned `s_i` a task, from 0 (Liu et al. 2021, ICLR, "Towards impartial multi-task
//! learning").
//!
//! At the best `s_i` each scaled loss is 1. The numbers are `balance.log_scale`; the balancer moves them by an Adam of its own.

use super::uncertainty::descend;
use super::{Balancer, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::graph::{Init, Mode};
use crate::ops::balance::Formula;

pub struct ImtlL;

static SIGNATURE: Signature = Signature {
    name: "imtl_l",
    kind: PartKind::Balancer,
    summary: "a scale of each loss is learned that brings it to 1",
    params: &[Param::with("lr", Kind::Positive, "1e-3", "the rate of the balancer's own Adam")],
};

impl Balancer for ImtlL {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn needs_nonnegative(&self) -> bool {
        true
    }

    fn numbers(&self) -> Option<(&'static str, Init)> {
        Some(("log_scale", Init::Zeros))
    }

    fn formula(&self, _: &Args, _: usize, _: Mode) -> Option<Formula> {
        Some(Formula::ImtlL)
    }

    fn end(&self, turn: &mut Turn, _: &[f64]) {
        let rate = turn.args.float("lr");
        descend(turn, rate, |s, loss| libm::exp(s) * loss - 1.0);
    }
}
