//! `uniform`: the weighted sum that the spec writes, `Σ w_i L_i`.
//!
//! The baseline: Kurin et al. 2022 (arXiv 2201.04122) find that it matches specialised methods when it is regularised and stopped
//! early.

use super::Balancer;
use crate::base::signature::{PartKind, Signature};

pub struct Uniform;

static SIGNATURE: Signature = Signature {
    name: "uniform",
    kind: PartKind::Balancer,
    summary: "the weighted sum as the spec writes it",
    params: &[],
};

impl Balancer for Uniform {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn fewest_tasks(&self) -> usize {
        1
    }
}
