//! `aligned`: the gradients are made orthogonal, with the length of the shortest principal component (Senushkin et al. 2023, arXiv
//! 2305.19000).
//!
//! With `G = V Λ Vᵀ`, cut to its rank, the factors are `√λ_min V Λ^(−½) Vᵀ 1/T`.

use super::linear_algebra::{between, range};
use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, PartKind, Signature};

pub struct Aligned;

static SIGNATURE: Signature = Signature {
    name: "aligned",
    kind: PartKind::Balancer,
    summary: "the gradients are made orthogonal and of one length",
    params: &[],
};

impl Balancer for Aligned {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, _: &mut Turn, gram: &Gram) -> Vec<f64> {
        let (n, range) = (gram.size(), range(gram));
        let least = range.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min);
        between(&range, |value| (least / value).sqrt(), &vec![1.0 / n as f64; n])
    }
}
