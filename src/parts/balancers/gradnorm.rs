//! `gradnorm`: tasks learn at the same rate, by gradients whose norms follow how slowly each loss falls (Chen et al. 2018, arXiv
//! 1711.02257).
//!
//! `N_i = ‖v_i g_i‖` over the last layer that the tasks share, `r_i = (L_i / L_i(0)) / mean`; the factors `v` move down
//! `Σ |N_i − mean(N) r_i^α|`, the target held fixed, by an Adam of their own, stay at 0.001 or more, and are scaled to the sum `T`.

use super::{Balancer, Gram, Sees, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub struct GradNorm;

static SIGNATURE: Signature = Signature {
    name: "gradnorm",
    kind: PartKind::Balancer,
    summary: "factors of the tasks move so that all learn at the same rate",
    params: &[
        Param::with("alpha", Kind::NonNegative, "1.5", "how strongly slow tasks are helped"),
        Param::with("lr", Kind::Positive, "0.025", "the rate of the balancer's own Adam"),
    ],
};

impl Balancer for GradNorm {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Products
    }

    fn weigh(&self, turn: &mut Turn, gram: &Gram) -> Vec<f64> {
        let all = turn.losses.len();
        let first = turn.own.get("first losses", all, f32::NAN);
        for &i in turn.tasks {
            first[i] = if first[i].is_nan() { turn.losses[i] as f32 } else { first[i] };
        }
        let mut rates: Vec<f64> =
            turn.tasks.iter().map(|&i| turn.losses[i] / f64::from(first[i]).max(f64::MIN_POSITIVE)).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        rates.iter_mut().for_each(|r| *r = if mean > 0.0 { *r / mean } else { 1.0 });
        let mut factors = turn.own.get("factors", all, 1.0).clone();
        let used: Vec<f64> = turn.tasks.iter().map(|&i| f64::from(factors[i])).collect();
        let norms: Vec<f64> = gram.last.iter().map(|square| square.sqrt()).collect();
        let mean = norms.iter().zip(&used).map(|(n, v)| n * v).sum::<f64>() / norms.len() as f64;
        let (alpha, tasks) = (turn.args.float("alpha"), turn.tasks);
        turn.own.adam(turn.args.float("lr"), &mut factors, |i| {
            let k = tasks.iter().position(|&task| task == i)?;
            let over = norms[k] * used[k] - mean * libm::pow(rates[k], alpha);
            Some(if over == 0.0 { 0.0 } else { norms[k] * over.signum() })
        });
        factors.iter_mut().for_each(|v| *v = v.max(1e-3));
        let sum: f32 = factors.iter().sum();
        factors.iter_mut().for_each(|v| *v *= all as f32 / sum);
        *turn.own.get("factors", all, 1.0) = factors;
        used
    }
}
