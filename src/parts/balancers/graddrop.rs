//! `graddrop`: of the numbers of the gradients that disagree in their sign, those of one sign are dropped at random (Chen et al. 2020,
//! arXiv 2010.06808).
//!
//! For each number of a shared parameter `P = ½ (1 + Σ g / Σ |g|)` and `U` from [0, 1): positive ones are kept where `P > U`, negative ones
//! where `P < U`. `U` is drawn from a generator of the parameter and the step.

use super::{Balancer, Rows, Sees, Turn};
use crate::base::signature::{Args, PartKind, Signature};
use rand::Rng;

pub struct GradDrop;

static SIGNATURE: Signature = Signature {
    name: "graddrop",
    kind: PartKind::Balancer,
    summary: "numbers of the gradients that disagree in sign are dropped at random",
    params: &[],
};

impl Balancer for GradDrop {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn sees(&self, _: &Args) -> Sees {
        Sees::Gradients
    }

    fn observe(&self, turn: &mut Turn, path: &str, rows: Rows) {
        let mut rng = (turn.random)(path);
        let len = rows.iter().flatten().next().map_or(0, |row| row.len());
        for k in 0..len {
            let each = || rows.iter().flatten().map(|row| f64::from(row[k]));
            let (sum, size) = each().fold((0.0, 0.0), |(sum, size), g| (sum + g, size + g.abs()));
            let (share, drawn) = (0.5 * (1.0 + sum / size), rng.r#gen::<f64>());
            for row in rows.iter_mut().flatten() {
                let kept = row[k] > 0.0 && share > drawn || row[k] < 0.0 && share < drawn;
                row[k] = if kept { row[k] } else { 0.0 };
            }
        }
    }
}
