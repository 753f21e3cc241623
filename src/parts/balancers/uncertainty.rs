//! `uncertainty`: each task's weight is learned as the inverse of its noise (Kendall et al. 2018, arXiv 1705.07115).
//!
//! `Σ w_i (½ e^(−s_i) L_i + ½ s_i)`, with one learned `s_i` a task, from 0: `balance.log_variance`. The balancer moves them by an Adam
//! of its own, without weight decay, schedule or clipping; a task without a label in the batch keeps its `s_i`.

use super::{Balancer, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::graph::{Init, Mode};
use crate::ops::balance::Formula;

pub struct Uncertainty;

static SIGNATURE: Signature = Signature {
    name: "uncertainty",
    kind: PartKind::Balancer,
    summary: "each task's weight is learned with the model, as the inverse of its noise",
    params: &[Param::with("lr", Kind::Positive, "1e-3", "the rate of the balancer's own Adam")],
};

impl Balancer for Uncertainty {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn needs_nonnegative(&self) -> bool {
        // With a loss below 0 the objective has no minimum: s would fall for ever.
        true
    }

    fn numbers(&self) -> Option<(&'static str, Init)> {
        Some(("log_variance", Init::Zeros))
    }

    fn formula(&self, _: &Args, _: usize, _: Mode) -> Option<Formula> {
        Some(Formula::Uncertainty)
    }

    fn end(&self, turn: &mut Turn, _: &[f64]) {
        let rate = turn.args.float("lr");
        descend(turn, rate, |s, loss| 0.5 - 0.5 * libm::exp(-s) * loss);
    }
}

/// Moves the number of each present task down `w_i f(n_i, L_i)`.
pub fn descend(turn: &mut Turn, rate: f64, f: impl Fn(f64, f64) -> f64) {
    let Turn { own, numbers, tasks, losses, weights, .. } = turn;
    let (tasks, losses, weights) = (*tasks, *losses, *weights);
    let now: smallvec::SmallVec<[f32; 16]> = numbers.iter().copied().collect();
    own.adam(rate, numbers, |i| tasks.contains(&i).then(|| weights[i] * f(f64::from(now[i]), losses[i])));
}
