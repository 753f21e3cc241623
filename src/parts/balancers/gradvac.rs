//! `gradvac`: gradients are turned towards one another until their cosines are what they usually are (Wang et al. 2021, arXiv
//! 2010.05874).
//!
//! As `pcgrad`, with a target `φ̂` for the cosine `φ` of `ĝ_i` and `g_j` in place of 0: below it, `ĝ_i` gets
//! `‖ĝ_i‖ (φ̂ √(1 − φ²) − φ √(1 − φ̂²)) / (‖g_j‖ √(1 − φ̂²))` of `g_j`. Then `φ̂ ← (1 − β) φ̂ + β φ`, for each pair, from 0.

use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use rand::seq::SliceRandom;

pub struct GradVac;

static SIGNATURE: Signature = Signature {
    name: "gradvac",
    kind: PartKind::Balancer,
    summary: "gradients are turned towards one another as far as they usually agree",
    params: &[Param::with("beta", Kind::Fraction, "0.5", "how much of a target the newest cosine is")],
};

impl Balancer for GradVac {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, turn: &mut Turn, gram: &Gram) -> Vec<f64> {
        let mut rng = (turn.random)("order");
        let (all, n, beta) = (turn.losses.len(), gram.size(), turn.args.float("beta"));
        let targets = turn.own.get("cosines", all * all, 0.0);
        let mut sum = vec![0.0; n];
        for i in 0..n {
            let mut own = vec![0.0; n];
            own[i] = 1.0;
            let mut order: Vec<usize> = (0..n).filter(|&j| j != i).collect();
            order.shuffle(&mut rng);
            for j in order {
                let (norm, other) = (gram.square(&own).sqrt(), gram.norm(j));
                if norm == 0.0 || other == 0.0 {
                    continue;
                }
                let cosine = (gram.times(&own)[j] / (norm * other)).clamp(-1.0, 1.0);
                let target = &mut targets[turn.tasks[i] * all + turn.tasks[j]];
                let wanted = f64::from(*target);
                let (sine, wanted_sine) = ((1.0 - cosine * cosine).sqrt(), (1.0 - wanted * wanted).sqrt());
                if cosine < wanted && wanted_sine > 0.0 {
                    own[j] += norm * (wanted * sine - cosine * wanted_sine) / (other * wanted_sine);
                }
                *target = ((1.0 - beta) * wanted + beta * cosine) as f32;
            }
            sum.iter_mut().zip(&own).for_each(|(sum, own)| *sum += own);
        }
        sum
    }
}
