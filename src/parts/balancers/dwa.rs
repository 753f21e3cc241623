//! `dwa`: tasks whose loss falls slowly weigh more (Liu et al. 2019, arXiv 1803.10704).
//!
//! `Σ v_i w_i L_i` with `v = T softmax(r / τ)`, `r_i = L_i(e − 1) / L_i(e − 2)` of the mean losses of the last two epochs, and ones in
//! the first two. The mean is over the steps in which the task has a label; a task without one in an epoch has `r_i = 1`.

use super::{Balancer, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::graph::{Init, Mode};
use crate::ops::balance::Formula;

pub struct Dwa;

static SIGNATURE: Signature = Signature {
    name: "dwa",
    kind: PartKind::Balancer,
    summary: "tasks whose loss fell least over the last two epochs weigh more",
    params: &[Param::with("temperature", Kind::Positive, "2", "the larger, the more alike the weights")],
};

impl Balancer for Dwa {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn needs_nonnegative(&self) -> bool {
        true
    }

    fn numbers(&self) -> Option<(&'static str, Init)> {
        Some(("weights", Init::Ones))
    }

    fn formula(&self, _: &Args, _: usize, _: Mode) -> Option<Formula> {
        Some(Formula::Weighted)
    }

    fn end(&self, turn: &mut Turn, _: &[f64]) {
        // In an array of sums and counts; the sum of an epoch's losses in f32 has digits enough for a ratio.
        let all = turn.losses.len();
        let sums = turn.own.get("sums", 2 * all, 0.0);
        for &i in turn.tasks {
            sums[i] += turn.losses[i] as f32;
            sums[all + i] += 1.0;
        }
    }

    fn epoch_ends(&self, turn: &mut Turn) {
        let all = turn.numbers.len();
        let sums = std::mem::replace(turn.own.get("sums", 2 * all, 0.0), vec![0.0; 2 * all]);
        let mean = |i: usize| if sums[all + i] > 0.0 { sums[i] / sums[all + i] } else { f32::NAN };
        let now: Vec<f32> = (0..all).map(mean).collect();
        // NaN stands for what is not known.
        let before = std::mem::replace(turn.own.get("means", all, f32::NAN), now.clone());
        if before.iter().all(|mean| mean.is_nan()) {
            return;
        }
        let ratio = |i: usize| {
            let ratio = f64::from(now[i]) / f64::from(before[i]);
            if ratio.is_finite() { ratio } else { 1.0 }
        };
        let ratios: Vec<f64> = (0..all).map(ratio).collect();
        let most = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let temperature = turn.args.float("temperature");
        let shares: Vec<f64> = ratios.iter().map(|r| libm::exp((r - most) / temperature)).collect();
        let sum: f64 = shares.iter().sum();
        turn.numbers.iter_mut().zip(&shares).for_each(|(n, share)| *n = (all as f64 * share / sum) as f32);
    }
}
