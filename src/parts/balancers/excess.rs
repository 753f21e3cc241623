//! `excess`: tasks that can still gain weigh more, whatever their noise (He et al. 2024, arXiv 2402.02009).
//!
//! `h_i += g_i²` for every number of the shared parameters, and `e_i = Σ g_i² / √(h_i + 1e-7)` estimates what the task can gain, over its
//! first value. Factors begin at 1 and become `v_i e^(η e_i)`, scaled to the sum `T`. The balancer keeps as many numbers as the shared parameters
//! have, for each task.

use super::{Balancer, Gram, Rows, Sees, Turn};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub struct Excess;

static SIGNATURE: Signature = Signature {
    name: "excess",
    kind: PartKind::Balancer,
    summary: "tasks that can still gain weigh more; keeps a copy of the shared parameters for each task",
    params: &[Param::with("rate", Kind::Positive, "0.01", "how fast the factors follow")],
};

impl Balancer for Excess {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Gradients
    }

    fn observe(&self, turn: &mut Turn, path: &str, rows: Rows) {
        let tasks = rows.len();
        let mut gains = turn.own.get("gains", tasks, 0.0).clone();
        let len = rows.iter().flatten().next().map_or(0, |row| row.len());
        let squares = turn.own.get(&format!("squares/{path}"), tasks * len, 0.0);
        for (i, row) in rows.iter().enumerate() {
            let Some(row) = row.as_ref().filter(|_| turn.tasks.contains(&i)) else { continue };
            let mut gain = 0.0;
            for (h, g) in squares[i * len..].iter_mut().zip(row.iter()) {
                *h += g * g;
                gain += f64::from(g * g) / (f64::from(*h) + 1e-7).sqrt();
            }
            gains[i] += gain as f32;
        }
        *turn.own.get("gains", tasks, 0.0) = gains;
    }

    fn weigh(&self, turn: &mut Turn, _: &Gram) -> Vec<f64> {
        let all = turn.losses.len();
        let gains = std::mem::replace(turn.own.get("gains", all, 0.0), vec![0.0; all]);
        let first = turn.own.get("first gains", all, f32::NAN);
        let mut risen = vec![0.0; all];
        for &i in turn.tasks {
            // In its first step a task has nothing to be compared with.
            if first[i].is_nan() {
                first[i] = gains[i];
            } else {
                risen[i] = f64::from(gains[i]) / (f64::from(first[i]) + 1e-7);
            }
        }
        let rate = turn.args.float("rate");
        let factors = turn.own.get("factors", all, 1.0);
        let raised: Vec<f64> = factors.iter().zip(&risen).map(|(v, e)| f64::from(*v) * libm::exp(rate * e)).collect();
        let sum: f64 = raised.iter().sum();
        factors.iter_mut().zip(raised).for_each(|(v, raised)| *v = (raised * all as f64 / sum) as f32);
        turn.tasks.iter().map(|&i| f64::from(factors[i])).collect()
    }
}
