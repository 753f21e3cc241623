//! `stch`: `μ ln Σ exp(w_i (L_i − z_i) / μ)`, a smooth maximum of the losses above their ideal values (Lin et al. 2024, arXiv
//! 2402.19078).

use super::Balancer;
use crate::base::Diagnostic;
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::graph::Mode;
use crate::ops::balance::Formula;

pub struct Stch;

static SIGNATURE: Signature = Signature {
    name: "stch",
    kind: PartKind::Balancer,
    summary: "a smooth maximum of the losses: the worst task counts most",
    params: &[
        Param::with("mu", Kind::Positive, "1", "the smaller, the closer to the maximum"),
        Param::optional("ideal", Kind::List(&Kind::Number), "the ideal value of each loss; 0 where it is left out"),
    ],
};

impl Balancer for Stch {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn check(&self, args: &Args, tasks: usize) -> Option<Diagnostic> {
        let given = args.has("ideal").then(|| args.list("ideal").len()).filter(|given| *given != tasks)?;
        let message = format!("there are {given} ideal values, and {tasks} tasks");
        let diagnostic = Diagnostic::error(message).at(args.span("ideal").unwrap_or_default());
        Some(diagnostic.help("give one for each loss, in the order of `minimize`"))
    }

    fn formula(&self, args: &Args, tasks: usize, _: Mode) -> Option<Formula> {
        let given = |list: &[crate::base::signature::Arg]| list.iter().filter_map(|z| z.value.as_float()).collect();
        let ideal = if args.has("ideal") { given(args.list("ideal")) } else { vec![0.0; tasks] };
        Some(Formula::Chebyshev { mu: args.float("mu"), ideal })
    }
}
