//! `sdmgrad`: `mgda` by stochastic steps that two independent halves of the batch make unbiased, held near the mean (Xiao et al. 2023,
//! arXiv 2305.18409).
//!
//! With `G₁₂` the products of the gradients of one half with those of the other, divided by the square of the mean of
//! `√diag`, the factors `v` in the simplex take `iterations` steps `v ← Π(v − η G₁₂ (v + λ/T))`, from where they were in the last step; the step
//! is along `(Jᵀ v + λ g₀) / (1 + λ)`, with the gradients and their mean `g₀` of both halves. Norms see one half at a time, so their
//! running statistics move twice.

use super::quadratic::simplex;
use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub struct SdmGrad;

static SIGNATURE: Signature = Signature {
    name: "sdmgrad",
    kind: PartKind::Balancer,
    summary: "the shortest vector between the gradients, by steps that two halves of a batch make unbiased",
    params: &[
        Param::with("lambda", Kind::NonNegative, "0.3", "how strongly the mean gradient holds"),
        Param::with("lr", Kind::Positive, "0.1", "the length of the steps of the factors"),
        Param::with("iterations", Kind::Count, "20", "steps of the factors for each of training"),
    ],
};

impl Balancer for SdmGrad {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Halves
    }

    fn weigh(&self, turn: &mut Turn, gram: &Gram) -> Vec<f64> {
        let (all, n) = (turn.losses.len(), gram.size());
        let (lambda, rate) = (turn.args.float("lambda"), turn.args.float("lr"));
        let mean = 1.0 / n as f64;
        let kept = turn.own.get("factors", all, 1.0 / all as f32);
        let start: Vec<f64> = turn.tasks.iter().map(|&i| f64::from(kept[i])).collect();
        // A task that is absent leaves its share to the others.
        let mut v = simplex(&start);
        let scale = (0..n).map(|i| gram.norm(i)).sum::<f64>() * mean;
        if scale > 0.0 {
            let scaled = gram.scaled(&vec![1.0 / scale; n]);
            for _ in 0..turn.args.size("iterations") {
                let held: Vec<f64> = v.iter().map(|v| v + lambda * mean).collect();
                let slope = scaled.times(&held);
                v = simplex(&v.iter().zip(slope).map(|(v, s)| v - rate * s).collect::<Vec<_>>());
            }
        }
        turn.tasks.iter().zip(&v).for_each(|(&i, v)| kept[i] = *v as f32);
        v.iter().map(|v| (v + lambda * mean) / (1.0 + lambda)).collect()
    }
}
