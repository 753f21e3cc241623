//! `adamw`: Adam with weight decay apart from the gradient.
//!
//! `w ← (1 − η·λ)·w`, and then the step of `adam` without its penalty: every weight decays at the same rate, however large
//! its gradients are. Agrees with `torch.optim.AdamW`.
//! Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019).

use super::adam::Moments;
use super::{Hyper, Optimizer};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "adamw",
    kind: PartKind::Optimizer,
    summary: "Adam with weight decay apart from the gradient",
    params: &[
        Param::with("lr", Kind::Positive, "1e-3", "learning rate"),
        Param::with("beta1", Kind::Fraction, "0.9", "how much of the last mean gradient is kept"),
        Param::with("beta2", Kind::Fraction, "0.999", "how much of the last mean squared gradient is kept"),
        Param::with("epsilon", Kind::NonNegative, "1e-8", "added to the divisor, so that it is not 0"),
        Param::with("weight_decay", Kind::NonNegative, "0.01", "share of a weight lost per step, times the rate"),
    ],
};

pub struct AdamW {
    pub moments: Moments,
}

pub fn build(args: &Args) -> Box<dyn Optimizer> {
    Box::new(AdamW { moments: Moments::new(args) })
}

impl Optimizer for AdamW {
    fn slots(&self) -> &'static [&'static str] {
        Moments::SLOTS
    }

    fn update(&self, step: u64, hyper: Hyper, parameter: &mut [f32], gradient: &[f32], slots: &mut [Vec<f32>]) {
        let keep = (1.0 - hyper.lr * hyper.weight_decay) as f32;
        self.moments.step(
            step,
            hyper.lr,
            parameter,
            gradient,
            slots,
            #[inline(always)]
            |w, g| (keep * w, g),
        );
    }
}
