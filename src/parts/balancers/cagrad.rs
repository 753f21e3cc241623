//! `cagrad`: within a ball around the mean gradient, the direction that serves the worst task best (Liu et al. 2021, arXiv 2110.14048).
//!
//! With `g₀` the mean and `g_v = Jᵀ v`, the `v` in the simplex that minimises `g_vᵀ g₀ + c ‖g₀‖ ‖g_v‖`;
//! the step is along `(g₀ + c ‖g₀‖ g_v / ‖g_v‖) / (1 + c²)`. For a fixed `ρ` in place of the norm, `‖g_v‖² / 2ρ + ρ / 2`, it is a quadratic
//! problem, and `ρ` is found by bisection.

use super::quadratic::minimise;
use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub struct CaGrad;

static SIGNATURE: Signature = Signature {
    name: "cagrad",
    kind: PartKind::Balancer,
    summary: "near the mean gradient, the direction that serves the worst task best",
    params: &[Param::with(
        "c",
        Kind::NonNegative,
        "0.4",
        "how far from the mean gradient the step may be, as a share of its norm",
    )],
};

impl Balancer for CaGrad {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, turn: &mut Turn, gram: &Gram) -> Vec<f64> {
        let (n, c) = (gram.size(), turn.args.float("c"));
        let mean = vec![1.0 / n as f64; n];
        let along = gram.times(&mean);
        let reach = c * gram.square(&mean).sqrt();
        let most = (0..n).map(|i| gram.norm(i)).fold(0.0, f64::max);
        let shrink = 1.0 / (1.0 + c * c);
        let plain = || mean.iter().map(|v| v * shrink).collect();
        if reach <= 1e-12 * most || most == 0.0 {
            return plain();
        }
        let at = |rho: f64| {
            let scaled = gram.scaled(&vec![(reach / rho).sqrt(); n]);
            let v = minimise(&scaled, &along, true);
            let norm = gram.square(&v).sqrt();
            (v, norm)
        };
        // The norm of the solution falls below ρ at the right one, and stays there.
        let (mut low, mut high) = (1e-12 * most, most);
        while high / low > 1.0 + 1e-15 {
            let middle = (low * high).sqrt();
            if middle <= low || middle >= high {
                break;
            }
            if at(middle).1 > middle { low = middle } else { high = middle }
        }
        let (v, norm) = at(high);
        if norm <= 1e-9 * most {
            return plain();
        }
        mean.iter().zip(&v).map(|(mean, v)| shrink * (mean + reach * v / norm)).collect()
    }
}
