//! `mgda`: the shortest vector between the gradients, along which no loss rises (Sener and Koltun 2018, arXiv 1810.04650).
//!
//! The `v` in the simplex that minimises `vᵀ G v`, found exactly by active sets. With `normalize` the problem is that of the gradients
//! divided by their norms (`l2`), by the losses (`loss`) or by both (`both`, also `loss+`), and the factors are those of the gradients as
//! they are.

use super::quadratic::minimise;
use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub struct Mgda;

static SIGNATURE: Signature = Signature {
    name: "mgda",
    kind: PartKind::Balancer,
    summary: "the shortest vector between the gradients, along which no loss rises",
    params: &[Param::with(
        "normalize",
        Kind::Word(&["none", "l2", "loss", "both"]),
        "none",
        "by what the gradients are divided to find the factors",
    )],
};

impl Balancer for Mgda {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, turn: &mut Turn, gram: &Gram) -> Vec<f64> {
        let norm = |k: usize| if gram.norm(k) > 0.0 { gram.norm(k) } else { 1.0 };
        let loss = |k: usize| {
            let i = turn.tasks[k];
            (turn.weights[i] * turn.losses[i]).abs().max(f64::MIN_POSITIVE)
        };
        let inverse = |k: usize| match turn.args.text("normalize") {
            "l2" => 1.0 / norm(k),
            "loss" => 1.0 / loss(k),
            "both" => 1.0 / (norm(k) * loss(k)),
            _ => 1.0,
        };
        let by: Vec<f64> = (0..gram.size()).map(inverse).collect();
        minimise(&gram.scaled(&by), &vec![0.0; by.len()], true)
    }
}
