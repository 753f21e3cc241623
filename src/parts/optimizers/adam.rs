//! `adam`: steps scaled by running moments of the gradient.
//!
//! With gradient `g`, moments `m` and `v` (zero at first), step `t` from 1, weight decay `λ` and learning rate `η`:
//!
//! ```text
//! g ← g + λ·w
//! m ← β₁·m + (1 − β₁)·g
//! v ← β₂·v + (1 − β₂)·g²
//! w ← w − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
//! ```
//!
//! Weight decay here is an L2 penalty that the moments rescale; `adamw` decays apart from them. Agrees with `torch.optim.Adam`.
//! Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2015).

use super::{Hyper, Optimizer};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::kernels::cpu::{math::vectorised, together::together};

pub static SIGNATURE: Signature = Signature {
    name: "adam",
    kind: PartKind::Optimizer,
    summary: "steps scaled by running moments of the gradient, with an L2 penalty",
    params: &[
        Param::with("lr", Kind::Positive, "1e-3", "learning rate"),
        Param::with("beta1", Kind::Fraction, "0.9", "how much of the last mean gradient is kept"),
        Param::with("beta2", Kind::Fraction, "0.999", "how much of the last mean squared gradient is kept"),
        Param::with("epsilon", Kind::NonNegative, "1e-8", "added to the divisor, so that it is not 0"),
        Param::with("weight_decay", Kind::NonNegative, "0", "L2 penalty, added to the gradient"),
    ],
};

pub struct Adam {
    pub moments: Moments,
}

pub fn build(args: &Args) -> Box<dyn Optimizer> {
    Box::new(Adam { moments: Moments::new(args) })
}

impl Optimizer for Adam {
    fn slots(&self) -> &'static [&'static str] {
        Moments::SLOTS
    }

    fn update(&self, step: u64, hyper: Hyper, parameter: &mut [f32], gradient: &[f32], slots: &mut [Vec<f32>]) {
        let decay = hyper.weight_decay as f32;
        self.moments.step(
            step,
            hyper.lr,
            parameter,
            gradient,
            slots,
            #[inline(always)]
            |w, g| (w, g + decay * w),
        );
    }
}

/// The running moments that `adam` and `adamw` share, and the step along them.
pub struct Moments {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
}

impl Moments {
    pub const SLOTS: &'static [&'static str] = &["exp_avg", "exp_avg_sq"];

    pub fn new(args: &Args) -> Self {
        Self { beta1: args.float("beta1"), beta2: args.float("beta2"), epsilon: args.float("epsilon") }
    }

    /// One step, in one pass over all vectors. `decay` turns a parameter and its gradient into those that the formula continues
    /// with, and is `#[inline(always)]`.
    #[inline]
    pub fn step(
        &self,
        step: u64,
        lr: f64,
        parameter: &mut [f32],
        gradient: &[f32],
        slots: &mut [Vec<f32>],
        decay: impl Fn(f32, f32) -> (f32, f32) + Sync,
    ) {
        let [mean, square] = slots else { panic!("bug: {} slots where two were asked for", slots.len()) };
        // `libm` gives the same bits on every platform, which the standard library does not promise.
        let rate = (lr / (1.0 - libm::pow(self.beta1, step as f64))) as f32;
        let root = (1.0 / (1.0 - libm::pow(self.beta2, step as f64)).sqrt()) as f32;
        let (fresh1, keep2, fresh2) = ((1.0 - self.beta1) as f32, self.beta2 as f32, (1.0 - self.beta2) as f32);
        let epsilon = self.epsilon as f32;
        together([parameter, mean, square], |start, [parameter, mean, square]| {
            let gradient = &gradient[start..][..parameter.len()];
            vectorised(
                #[inline(always)]
                || {
                    lanes(parameter, gradient, mean, square, |w, g, m, v| {
                        let (decayed, g) = decay(w, g);
                        // β₁·m + (1 − β₁)·g, with one rounding less.
                        let m = m + fresh1 * (g - m);
                        let v = keep2 * v + fresh2 * g * g;
                        (decayed - rate * m / (v.sqrt() * root + epsilon), m, v)
                    });
                },
            );
        });
    }
}

/// Numbers that are brought into registers together.
const LANES: usize = 32;

/// Moves parameters and both moments, some numbers at a time: `f` gets a parameter, its gradient and its moments, and gives the
/// new ones. Through copies of a fixed length the compiler sees that the arrays do not overlap.
#[inline(always)]
fn lanes(
    parameter: &mut [f32],
    gradient: &[f32],
    mean: &mut [f32],
    square: &mut [f32],
    f: impl Fn(f32, f32, f32, f32) -> (f32, f32, f32),
) {
    let (ws, w_tail) = parameter.as_chunks_mut::<LANES>();
    let (gs, g_tail) = gradient.as_chunks::<LANES>();
    let (ms, m_tail) = mean.as_chunks_mut::<LANES>();
    let (vs, v_tail) = square.as_chunks_mut::<LANES>();
    for (((w, g), m), v) in ws.iter_mut().zip(gs).zip(ms).zip(vs) {
        let (mut new_w, mut new_m, mut new_v) = (*w, *m, *v);
        for i in 0..LANES {
            (new_w[i], new_m[i], new_v[i]) = f(new_w[i], g[i], new_m[i], new_v[i]);
        }
        (*w, *m, *v) = (new_w, new_m, new_v);
    }
    for (((w, g), m), v) in w_tail.iter_mut().zip(g_tail).zip(m_tail).zip(v_tail) {
        (*w, *m, *v) = f(*w, *g, *m, *v);
    }
}
