//! `rmsprop`: steps scaled by the running size of the gradient.
//!
//! With gradient `g`, running square `s`, running mean `a` and velocity `b` (all zero at first), weight decay `λ`:
//!
//! ```text
//! g ← g + λ·w
//! s ← α·s + (1 − α)·g²
//! a ← α·a + (1 − α)·g                      only when centered
//! d = g / (√s + ε), or g / (√(s − a²) + ε) the latter when centered
//! b ← μ·b + d;  d = b                      only with momentum
//! w ← w − η·d
//! ```
//!
//! Agrees with `torch.optim.RMSprop`, save that a variance `s − a²` that rounding made negative counts as 0 and gives no NaN.
//! Sources: Hinton, "Neural networks for machine learning", lecture 6e (2012); centered: Graves, "Generating sequences with
//! recurrent neural networks" (2013).

use super::{Hyper, Optimizer};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::kernels::cpu::{math::vectorised, together::together};

pub static SIGNATURE: Signature = Signature {
    name: "rmsprop",
    kind: PartKind::Optimizer,
    summary: "steps scaled by the running size of the gradient",
    params: &[
        Param::required("lr", Kind::Positive, "learning rate"),
        Param::with("alpha", Kind::Fraction, "0.99", "how much of the last mean squared gradient is kept"),
        Param::with("epsilon", Kind::NonNegative, "1e-8", "added to the divisor, so that it is not 0"),
        Param::with("momentum", Kind::Fraction, "0", "how much of the last velocity is kept"),
        Param::with("centered", Kind::Flag, "false", "divide by the deviation of the gradient, not by its size"),
        Param::with("weight_decay", Kind::NonNegative, "0", "L2 penalty, added to the gradient"),
    ],
};

pub struct RmsProp {
    pub alpha: f64,
    pub epsilon: f64,
    pub momentum: f64,
    pub centered: bool,
}

pub fn build(args: &Args) -> Box<dyn Optimizer> {
    Box::new(RmsProp {
        alpha: args.float("alpha"),
        epsilon: args.float("epsilon"),
        momentum: args.float("momentum"),
        centered: args.flag("centered"),
    })
}

impl Optimizer for RmsProp {
    fn slots(&self) -> &'static [&'static str] {
        match (self.momentum != 0.0, self.centered) {
            (false, false) => &["square_avg"],
            (true, false) => &["square_avg", "momentum_buffer"],
            (false, true) => &["square_avg", "grad_avg"],
            (true, true) => &["square_avg", "momentum_buffer", "grad_avg"],
        }
    }

    fn update(&self, _step: u64, hyper: Hyper, parameter: &mut [f32], gradient: &[f32], slots: &mut [Vec<f32>]) {
        let (lr, decay, momentum) = (hyper.lr as f32, hyper.weight_decay as f32, self.momentum as f32);
        let (keep, fresh, epsilon) = (self.alpha as f32, (1.0 - self.alpha) as f32, self.epsilon as f32);
        // One pass over the vectors that are kept. The loop is compiled for each set of them.
        macro_rules! pass {
            ([$($slot:ident),*], |$w:ident, $g:ident| $value:expr) => {{
                let [$($slot),*] = slots else { panic!("bug: {} slots kept of {:?}", slots.len(), self.slots()) };
                together([parameter, $($slot),*], |start, [parameter, $($slot),*]| {
                    let n = parameter.len();
                    let gradient = &gradient[start..][..n];
                    $(let $slot = &mut $slot[..n];)*
                    vectorised(
                        #[inline(always)]
                        || {
                            for i in 0..n {
                                let $w = parameter[i];
                                let $g = gradient[i] + decay * $w;
                                $(let $slot = &mut $slot[i];)*
                                parameter[i] = $value;
                            }
                        },
                    );
                });
            }};
        }
        match (self.momentum != 0.0, self.centered) {
            (false, false) => pass!([s], |w, g| w - lr * g / (size(g, keep, fresh, s, None) + epsilon)),
            (false, true) => pass!([s, a], |w, g| w - lr * g / (size(g, keep, fresh, s, Some(a)) + epsilon)),
            (true, false) => pass!([s, b], |w, g| {
                *b = momentum * *b + g / (size(g, keep, fresh, s, None) + epsilon);
                w - lr * *b
            }),
            (true, true) => pass!([s, b, a], |w, g| {
                *b = momentum * *b + g / (size(g, keep, fresh, s, Some(a)) + epsilon);
                w - lr * *b
            }),
        }
    }
}

/// The root of the running square, or of the variance when there is a mean, after both have moved.
#[inline(always)]
fn size(g: f32, keep: f32, fresh: f32, square: &mut f32, mean: Option<&mut f32>) -> f32 {
    *square = keep * *square + fresh * g * g;
    match mean {
        Some(mean) => {
            *mean += fresh * (g - *mean);
            (*square - *mean * *mean).max(0.0).sqrt()
        }
        None => square.sqrt(),
    }
}
