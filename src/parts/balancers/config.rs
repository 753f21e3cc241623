//! `config`: a direction with the same cosine to every gradient, as long as the gradients along it together (Liu et al. 2024, arXiv
//! 2408.11104).
//!
//! With `U` the unit gradients, `û = U⁺ 1` of length 1, the step is along `(Σ g_i · û) û`. In terms of products, `Ĝ = U Uᵀ`,
//! `y = Ĝ⁺ 1` and `û = Uᵀ y / √(yᵀ Ĝ y)`.

use super::linear_algebra::{between, range};
use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, PartKind, Signature};

pub struct Config;

static SIGNATURE: Signature = Signature {
    name: "config",
    kind: PartKind::Balancer,
    summary: "a direction at the same angle to every gradient",
    params: &[],
};

impl Balancer for Config {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, _: &mut Turn, gram: &Gram) -> Vec<f64> {
        let (unit, inverse) = gram.unit();
        let y = between(&range(&unit), |value| 1.0 / value, &vec![1.0; gram.size()]);
        let norm = unit.square(&y).sqrt();
        if norm == 0.0 {
            return vec![0.0; y.len()];
        }
        let length: f64 = unit.times(&y).iter().enumerate().map(|(i, along)| gram.norm(i) * along / norm).sum();
        y.iter().zip(inverse).map(|(y, inverse)| length * y * inverse / norm).collect()
    }
}
