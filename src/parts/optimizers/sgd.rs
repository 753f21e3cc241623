//! `sgd`: stochastic gradient descent, with optional momentum.
//!
//! With gradient `g`, parameter `w`, velocity `v` (zero at first), momentum `μ`, weight decay `λ` and learning rate `η`:
//!
//! ```text
//! g ← g + λ·w
//! v ← μ·v + g              only with momentum
//! d = v, or g + μ·v        the latter with nesterov; without momentum d = g
//! w ← w − η·d
//! ```
//!
//! As in `torch.optim.SGD` with no dampening, the learning rate stands outside the velocity, so a schedule acts at once.
//! Source: Sutskever et al., "On the importance of initialization and momentum in deep learning" (2013), in PyTorch's form.

use super::{Hyper, Optimizer};
use crate::base::Diagnostic;
use crate::base::signature::{Args, Call, Kind, Param, PartKind, Signature};
use crate::kernels::cpu::{math::vectorised, together::together};

pub static SIGNATURE: Signature = Signature {
    name: "sgd",
    kind: PartKind::Optimizer,
    summary: "gradient descent, with optional momentum",
    params: &[
        Param::required("lr", Kind::Positive, "learning rate"),
        Param::with("momentum", Kind::Fraction, "0", "how much of the last velocity is kept"),
        Param::with("nesterov", Kind::Flag, "false", "look ahead along the velocity; needs momentum"),
        Param::with("weight_decay", Kind::NonNegative, "0", "L2 penalty, added to the gradient"),
    ],
};

pub struct Sgd {
    pub momentum: f64,
    pub nesterov: bool,
}

pub fn build(args: &Args) -> Box<dyn Optimizer> {
    Box::new(Sgd { momentum: args.float("momentum"), nesterov: args.flag("nesterov") })
}

/// Nesterov's look-ahead goes along the velocity, which there is none of without momentum.
pub fn check(call: &Call) -> Option<Diagnostic> {
    let idle = call.args.flag("nesterov") && call.args.float("momentum") == 0.0;
    idle.then(|| {
        Diagnostic::error("`nesterov` needs momentum")
            .label(call.args.span("nesterov").unwrap_or(call.span), "has no effect while `momentum` is 0")
            .help("add `momentum: 0.9`, or leave out `nesterov`")
    })
}

impl Optimizer for Sgd {
    fn slots(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    fn update(&self, _step: u64, hyper: Hyper, parameter: &mut [f32], gradient: &[f32], slots: &mut [Vec<f32>]) {
        let (lr, decay, momentum) = (hyper.lr as f32, hyper.weight_decay as f32, self.momentum as f32);
        let nesterov = self.nesterov;
        let Some(velocity) = slots.first_mut().filter(|_| self.momentum != 0.0) else {
            return together([parameter], |start, [parameter]| {
                vectorised(
                    #[inline(always)]
                    || {
                        for (w, &g) in parameter.iter_mut().zip(&gradient[start..]) {
                            *w -= lr * (g + decay * *w);
                        }
                    },
                );
            });
        };
        together([parameter, velocity], |start, [parameter, velocity]| {
            vectorised(
                #[inline(always)]
                || {
                    for ((w, &g), v) in parameter.iter_mut().zip(&gradient[start..]).zip(velocity) {
                        let g = g + decay * *w;
                        *v = momentum * *v + g;
                        let direction = if nesterov { g + momentum * *v } else { *v };
                        *w -= lr * direction;
                    }
                },
            );
        });
    }
}
