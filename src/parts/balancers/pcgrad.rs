//! `pcgrad`: of each gradient what opposes another is taken away (Yu et al. 2020, arXiv 2001.06782).
//!
//! For each `i`, over `j ≠ i` in a random order: where `ĝ_i · g_j < 0`, `ĝ_i −= (ĝ_i · g_j / ‖g_j‖²) g_j`, with `g_j` as it was; the step
//! is along `Σ ĝ_i`. Each `ĝ_i` is a combination of the gradients, so their products suffice.

use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, PartKind, Signature};
use rand::seq::SliceRandom;

pub struct PcGrad;

static SIGNATURE: Signature = Signature {
    name: "pcgrad",
    kind: PartKind::Balancer,
    summary: "of each gradient what opposes another one is projected away",
    params: &[],
};

impl Balancer for PcGrad {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, turn: &mut Turn, gram: &Gram) -> Vec<f64> {
        let mut rng = (turn.random)("order");
        project(gram, |order| order.shuffle(&mut rng))
    }
}

/// The sum of the projected gradients as a combination of the gradients; `shuffle` orders the others of each task.
fn project(gram: &Gram, mut shuffle: impl FnMut(&mut [usize])) -> Vec<f64> {
    let n = gram.size();
    let mut sum = vec![0.0; n];
    for i in 0..n {
        let mut own = vec![0.0; n];
        own[i] = 1.0;
        let mut order: Vec<usize> = (0..n).filter(|&j| j != i).collect();
        shuffle(&mut order);
        for j in order {
            let along: f64 = (0..n).map(|k| own[k] * gram.at(k, j)).sum();
            if along < 0.0 && gram.at(j, j) > 0.0 {
                own[j] -= along / gram.at(j, j);
            }
        }
        sum.iter_mut().zip(&own).for_each(|(sum, own)| *sum += own);
    }
    sum
}
