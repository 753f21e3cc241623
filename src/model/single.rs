//! The single-task models that a multi-task model is made of: what one would train for each target alone.

use super::bind::{Binder, Scope};
use super::{Model, Selection};
use crate::base::Span;
use crate::parts::balancers;

impl Model {
    /// The targets that losses compare with, in the order of `minimize`: the tasks, by what they answer.
    pub fn answered(&self) -> Vec<&str> {
        let mut targets: Vec<&str> = vec![];
        for term in &self.terms {
            if !targets.contains(&term.target.as_str()) {
                targets.push(&term.target);
            }
        }
        targets
    }

    /// The same model for one target alone. Of `minimize` only its summands stay, with their weights; networks that they do not reach
    /// are dropped, and with them what `freeze`, `tune` and `measure` said of them. A balancer that has nothing left to balance
    /// becomes the default one. Every layer that stays keeps its path, so it begins with the same parameters.
    pub fn single(&self, target: &str) -> Model {
        let mut single = self.clone();
        single.name = format!("{}.{target}", self.name);
        single.terms.retain(|term| term.target == target);
        let mut reached: Vec<String> = single.terms.iter().map(|term| term.head.clone()).collect();
        // Every network stands behind what it reads.
        for network in self.networks.iter().rev() {
            if reached.contains(&network.name) {
                reached.extend(network.sources.iter().filter_map(|s| s.path.split('.').next()).map(String::from));
            }
        }
        single.networks.retain(|network| reached.contains(&network.name));
        let meets = |selection: &mut Selection| {
            selection.paths.retain(|path| reached.iter().any(|network| selection_meets(path, network)));
            !selection.paths.is_empty()
        };
        single.freezes.retain_mut(|freeze| meets(&mut freeze.selection));
        single.tunes.retain_mut(|tune| meets(&mut tune.selection));
        single.measures.retain(|measure| measure.target == target && reached.contains(&measure.head));
        let fewest = balancers::find(single.balance.signature.name).map_or(0, |b| b.fewest_tasks());
        if single.terms.len() < fewest {
            let signature = balancers::BALANCERS[0].signature();
            let bound = Binder::default().call(signature, &[], None, Span::default(), &Scope::new());
            single.balance = bound.expect("the default balancer needs no arguments").call;
        }
        single
    }
}

/// Whether a pattern of paths may meet layers of a network, by its first segment.
fn selection_meets(pattern: &str, network: &str) -> bool {
    let first = pattern.split('.').next().unwrap_or(pattern);
    first == "**" || super::select::letters_fit(network, first)
}
