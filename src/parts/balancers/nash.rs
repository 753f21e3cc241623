//! `nash`: the bargaining solution of the tasks (Navon et al. 2022, arXiv 2202.01017).
//!
//! The `v > 0` with `G v = 1/v`, by damped Newton steps on `½ vᵀ G v − Σ ln v_i`, whose minimum it is; then a direction that is longer
//! than `max_norm` is scaled down to it.

use super::quadratic::fair;
use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub struct Nash;

static SIGNATURE: Signature = Signature {
    name: "nash",
    kind: PartKind::Balancer,
    summary: "the bargaining solution: no task can gain without another losing more",
    params: &[Param::with("max_norm", Kind::Positive, "1", "the largest norm of the shared gradient")],
};

impl Balancer for Nash {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, turn: &mut Turn, gram: &Gram) -> Vec<f64> {
        let v = fair(gram, 1.0);
        let (norm, most) = (gram.square(&v).sqrt(), turn.args.float("max_norm"));
        let by = if norm > most { most / norm } else { 1.0 };
        v.iter().map(|v| v * by).collect()
    }
}
