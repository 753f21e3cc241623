//! `random`: `Σ v_i w_i L_i` with `v = softmax(z)`, `z` from a standard normal in each step (Lin et al. 2022, arXiv 2111.10603).
//!
//! An evaluation has the mean weights, `1/T` each, so that epochs can be compared.

use super::{Balancer, Turn};
use crate::base::signature::{Args, PartKind, Signature};
use crate::graph::{Init, Mode};
use crate::ops::balance::Formula;
use rand::Rng;
use rand_distr::StandardNormal;

pub struct Random;

static SIGNATURE: Signature =
    Signature { name: "random", kind: PartKind::Balancer, summary: "weights drawn anew in each step", params: &[] };

impl Balancer for Random {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn numbers(&self) -> Option<(&'static str, Init)> {
        Some(("weights", Init::Ones))
    }

    fn formula(&self, _: &Args, tasks: usize, mode: Mode) -> Option<Formula> {
        Some(match mode {
            Mode::Train => Formula::Weighted,
            Mode::Eval => Formula::Mean { parts: tasks },
        })
    }

    fn begin(&self, turn: &mut Turn) {
        let mut rng = (turn.random)("weights");
        // Every task draws, present or not, so that one's label has no effect on another's draw.
        turn.numbers.fill_with(|| libm::exp(rng.sample::<f64, _>(StandardNormal)) as f32);
        let all: f32 = turn.tasks.iter().map(|&i| turn.numbers[i]).sum();
        turn.numbers.iter_mut().for_each(|n| *n /= if all > 0.0 { all } else { 1.0 });
    }
}
