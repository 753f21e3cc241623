//! `smooth`: the factors of another balancer, averaged over the steps (CR-MOGM, Zhou et al. 2022, NeurIPS).
//!
//! `v ← α v + (1 − α) v̂`, from `1/T`, for each task that is present.

use super::{Balancer, Gram, Rows, Sees, Turn, find};
use crate::base::Diagnostic;
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::graph::Mode;
use crate::ops::balance::Formula;

pub struct Smooth;

static SIGNATURE: Signature = Signature {
    name: "smooth",
    kind: PartKind::Balancer,
    summary: "the factors of another balancer that sees gradients, averaged over the steps",
    params: &[
        Param::required("of", Kind::Part(PartKind::Balancer), "the balancer whose factors are averaged"),
        Param::with("alpha", Kind::Fraction, "0.9", "how much of the average a step keeps"),
    ],
};

impl Balancer for Smooth {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn needs_nonnegative(&self) -> bool {
        // Whether the other one does is known with its arguments, so `check` asks.
        false
    }

    fn check(&self, args: &Args, tasks: usize) -> Option<Diagnostic> {
        let (call, inner) = (args.part("of"), inner(args)?);
        if inner.sees(&call.args) == Sees::Losses || call.signature.name == SIGNATURE.name {
            let message = format!("`smooth` averages factors of gradients, and `{}` gives none", call.signature.name);
            return Some(Diagnostic::error(message).at(call.span).help("`smooth(mgda)` is an example"));
        }
        inner.check(&call.args, tasks)
    }

    fn sees(&self, args: &Args) -> Sees {
        inner(args).map_or(Sees::Products, |inner| inner.sees(&args.part("of").args))
    }

    fn formula(&self, args: &Args, tasks: usize, mode: Mode) -> Option<Formula> {
        inner(args)?.formula(&args.part("of").args, tasks, mode)
    }

    fn factor(&self, turn: &Turn, task: usize) -> f64 {
        let own = &mut Default::default();
        let inside = Turn { args: &turn.args.part("of").args, own, numbers: &mut [], ..*turn };
        inner(turn.args).map_or(turn.weights[task], |inner| inner.factor(&inside, task))
    }

    fn observe(&self, turn: &mut Turn, path: &str, rows: Rows) {
        if let Some(inner) = inner(turn.args) {
            inner.observe(&mut inside(turn), path, rows);
        }
    }

    fn weigh(&self, turn: &mut Turn, gram: &Gram) -> Vec<f64> {
        let Some(inner) = inner(turn.args) else { return vec![1.0; gram.size()] };
        let new = inner.weigh(&mut inside(turn), gram);
        let (all, keep) = (turn.losses.len(), turn.args.float("alpha"));
        let kept = turn.own.get("smooth", all, 1.0 / all as f32);
        for (&i, new) in turn.tasks.iter().zip(new) {
            kept[i] = (keep * f64::from(kept[i]) + (1.0 - keep) * new) as f32;
        }
        turn.tasks.iter().map(|&i| f64::from(kept[i])).collect()
    }
}

fn inner(args: &Args) -> Option<&'static dyn Balancer> {
    find(args.part("of").signature.name)
}

/// The turn of the balancer inside.
fn inside<'t>(turn: &'t mut Turn) -> Turn<'t> {
    Turn { args: &turn.args.part("of").args, own: turn.own, numbers: turn.numbers, ..*turn }
}
