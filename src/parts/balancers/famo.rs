//! `famo`: every loss falls at the same rate, with one backward pass (Liu et al. 2023, arXiv 2306.03792).
//!
//! The objective is `Σ z_i ln D_i` with `D_i = w_i L_i + ε` and `z = softmax(ξ)`. Its gradient is multiplied by `(Σ z_i / D_i)⁻¹`, which
//! is no part of the objective: that would rise while the losses fall. After the step the losses of the same batch are computed again,
//! with the same masks, and `δ_i = ln D_i(before) − ln D_i(after)`; `ξ` (`balance.logits`) moves down `(∂z/∂ξ)ᵀ δ + decay · ξ` by an
//! Adam of its own.

use super::{Balancer, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::graph::{Init, Mode};
use crate::ops::balance::Formula;

pub struct Famo;

static SIGNATURE: Signature = Signature {
    name: "famo",
    kind: PartKind::Balancer,
    summary: "all losses fall at the same rate; costs one more forward pass a step",
    params: &[
        Param::with("lr", Kind::Positive, "0.025", "the rate of the balancer's own Adam"),
        Param::with("decay", Kind::NonNegative, "1e-3", "how strongly the logits are pulled to 0"),
        Param::with("epsilon", Kind::Positive, "1e-8", "what is added to a loss before its logarithm is taken"),
    ],
};

impl Balancer for Famo {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn needs_nonnegative(&self) -> bool {
        true
    }

    fn numbers(&self) -> Option<(&'static str, Init)> {
        Some(("logits", Init::Zeros))
    }

    fn formula(&self, args: &Args, _: usize, _: Mode) -> Option<Formula> {
        Some(Formula::Famo { epsilon: args.float("epsilon") })
    }

    fn scale(&self, turn: &mut Turn) -> f64 {
        let z = shares(turn);
        1.0 / turn.tasks.iter().zip(&z).map(|(&i, z)| z / distance(turn, turn.losses, i)).sum::<f64>()
    }

    fn looks_back(&self) -> bool {
        true
    }

    fn end(&self, turn: &mut Turn, after: &[f64]) {
        let z = shares(turn);
        let fell = |&i: &usize| libm::log(distance(turn, turn.losses, i)) - libm::log(distance(turn, after, i));
        let fell: Vec<f64> = turn.tasks.iter().map(fell).collect();
        let mean: f64 = fell.iter().zip(&z).map(|(d, z)| d * z).sum();
        let (rate, decay) = (turn.args.float("lr"), turn.args.float("decay"));
        let now = turn.numbers.to_vec();
        let Turn { own, numbers, tasks, .. } = turn;
        own.adam(rate, numbers, |i| {
            let k = tasks.iter().position(|&task| task == i)?;
            Some(z[k] * (fell[k] - mean) + decay * f64::from(now[i]))
        });
    }
}

/// `D_i` of the losses.
fn distance(turn: &Turn, losses: &[f64], i: usize) -> f64 {
    turn.weights[i] * losses[i] + turn.args.float("epsilon")
}

/// `z` of the present tasks.
fn shares(turn: &Turn) -> Vec<f64> {
    let logits = turn.tasks.iter().map(|&i| f64::from(turn.numbers[i]));
    let most = logits.clone().fold(f64::NEG_INFINITY, f64::max);
    let all: f64 = logits.clone().map(|n| libm::exp(n - most)).sum();
    logits.map(|n| libm::exp(n - most) / all).collect()
}
