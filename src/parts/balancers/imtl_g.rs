//! `imtl_g`: a direction with the same projection on every unit gradient (Liu et al. 2021, ICLR, "Towards impartial multi-task learning").
//!
//! `v = G⁺ √diag(G)`, divided by its sum. Factors may be negative. Where the sum is not above 0, so that dividing would turn the step
//! around or let it explode, each task has `1/T`.

use super::linear_algebra::{between, range};
use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, PartKind, Signature};

pub struct ImtlG;

static SIGNATURE: Signature = Signature {
    name: "imtl_g",
    kind: PartKind::Balancer,
    summary: "a direction with the same projection on every gradient",
    params: &[],
};

impl Balancer for ImtlG {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, _: &mut Turn, gram: &Gram) -> Vec<f64> {
        let norms: Vec<f64> = (0..gram.size()).map(|i| gram.norm(i)).collect();
        let v = between(&range(gram), |value| 1.0 / value, &norms);
        let (sum, size) = (v.iter().sum::<f64>(), v.iter().map(|v| v.abs()).sum::<f64>());
        if sum <= 1e-9 * size {
            return vec![1.0 / v.len() as f64; v.len()];
        }
        v.iter().map(|v| v / sum).collect()
    }
}
