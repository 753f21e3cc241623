//! `db_mtl`: logarithms balance the losses, and gradients are brought to one length (Lin et al. 2023, arXiv 2308.12029).
//!
//! `g_i` is the gradient of `w_i ln(L_i + ε)`, and `ĝ_i ← β ĝ_i + (1 − β) g_i`; the step is along `max_k ‖ĝ_k‖ Σ ĝ_i / ‖ĝ_i‖`. A task begins with its
//! first gradient. The objective is `Σ w_i ln(L_i + ε)`. The balancer keeps as many numbers as the shared parameters have, for each task.

use super::{Balancer, Gram, Rows, Sees, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::graph::Mode;
use crate::ops::balance::Formula;

pub struct DbMtl;

static SIGNATURE: Signature = Signature {
    name: "db_mtl",
    kind: PartKind::Balancer,
    summary: "logarithms of the losses, and averaged gradients of one length; keeps a copy of the shared parameters for each task",
    params: &[
        Param::with("beta", Kind::Fraction, "0.9", "how much of the average gradient a step keeps"),
        Param::with("epsilon", Kind::Positive, "1e-8", "what is added to a loss before its logarithm is taken"),
    ],
};

impl Balancer for DbMtl {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn needs_nonnegative(&self) -> bool {
        true
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Gradients
    }

    fn formula(&self, args: &Args, _: usize, _: Mode) -> Option<Formula> {
        Some(Formula::Log { epsilon: args.float("epsilon") })
    }

    fn factor(&self, turn: &Turn, task: usize) -> f64 {
        turn.weights[task] / (turn.losses[task] + turn.args.float("epsilon"))
    }

    fn observe(&self, turn: &mut Turn, path: &str, rows: Rows) {
        let keep = turn.args.float("beta") as f32;
        let tasks = rows.len();
        let seen = turn.own.get("seen", tasks, 0.0).clone();
        let len = rows.iter().flatten().next().map_or(0, |row| row.len());
        let means = turn.own.get(&format!("means/{path}"), tasks * len, 0.0);
        for (i, row) in rows.iter_mut().enumerate() {
            let Some(row) = row.as_mut().filter(|_| turn.tasks.contains(&i)) else { continue };
            let keep = if seen[i] > 0.0 { keep } else { 0.0 };
            for (mean, g) in means[i * len..].iter_mut().zip(row.iter_mut()) {
                *mean = keep * *mean + (1.0 - keep) * *g;
                *g = *mean;
            }
        }
    }

    fn weigh(&self, turn: &mut Turn, gram: &Gram) -> Vec<f64> {
        let seen = turn.own.get("seen", turn.losses.len(), 0.0);
        turn.tasks.iter().for_each(|&i| seen[i] = 1.0);
        let most = (0..gram.size()).map(|i| gram.norm(i)).fold(0.0, f64::max);
        (0..gram.size()).map(|i| if gram.norm(i) > 0.0 { most / gram.norm(i) } else { 0.0 }).collect()
    }
}
