//! `upgrad`: each gradient is projected so that it opposes none, and the projections are averaged (Quinton and Rey 2024, arXiv
//! 2406.16232).
//!
//! For each `i` the `v ≥ e_i / T` that minimises `vᵀ G v`, with `G` divided by its trace and 1e-4 added to its diagonal; the factors
//! are the sum of the `v`.

use super::quadratic::minimise;
use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, PartKind, Signature};

pub struct UpGrad;

static SIGNATURE: Signature = Signature {
    name: "upgrad",
    kind: PartKind::Balancer,
    summary: "the mean of the gradients, each projected so that it opposes none",
    params: &[],
};

impl Balancer for UpGrad {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, _: &mut Turn, gram: &Gram) -> Vec<f64> {
        let n = gram.size();
        let mut sum = vec![0.0; n];
        for i in 0..n {
            let mut least = vec![0.0; n];
            least[i] = 1.0 / n as f64;
            sum.iter_mut().zip(project(gram, &least)).for_each(|(sum, v)| *sum += v);
        }
        sum
    }
}

/// What is added to the diagonal of the matrix of trace 1.
const RIDGE: f64 = 1e-4;

/// The `v ≥ least` that minimises `vᵀ G v`: the gradient with these factors, projected onto what opposes no gradient.
pub fn project(gram: &Gram, least: &[f64]) -> Vec<f64> {
    let (n, trace) = (gram.size(), gram.trace());
    let by = if trace > 0.0 { 1.0 / trace } else { 0.0 };
    let at = |k: usize| gram.at(k / n, k % n) * by + if k / n == k % n { RIDGE } else { 0.0 };
    let regular = Gram::new((0..n * n).map(at).collect(), vec![0.0; n]);
    let more = minimise(&regular, &regular.times(least), false);
    least.iter().zip(more).map(|(least, more)| least + more).collect()
}
