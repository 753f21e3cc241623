//! Weights of `minimize` changed without touching the spec: `--set minimize.TASK=0.5`, by the name of the task.
//!
//! The names of tasks follow from heads and losses, so these overrides apply to the resolved model, not to the tree.

use super::Model;
use crate::base::{Diagnostic, Result};

const PREFIX: &str = "minimize.";

/// Whether an assignment sets the weight of a task.
pub fn is_weight(assignment: &str) -> bool {
    assignment.trim_start().starts_with(PREFIX)
}

impl Model {
    /// Applies one `minimize.TASK=WEIGHT`: the task then counts so much, whatever the factors in the spec.
    pub fn override_weight(&mut self, assignment: &str) -> Result<()> {
        let wrong = |what: String| Diagnostic::error(what).place(format!("--set {assignment}"));
        let example = "for example `minimize.TASK=0.5`";
        let Some((name, text)) = assignment.trim_start().trim_start_matches(PREFIX).split_once('=') else {
            return Err(wrong("expected NAME=VALUE".into()).help(example).into());
        };
        let weight = text.trim().parse::<f64>().ok().filter(|weight| weight.is_finite());
        let Some(weight) = weight else {
            return Err(wrong(format!("`{}` is no number", text.trim())).help(example).into());
        };
        if weight <= 0.0 {
            return Err(wrong("the weight of a loss is above 0".into())
                .help("a loss with a tiny weight hardly counts")
                .into());
        }
        self.weigh(name.trim(), weight).map_err(|diagnostic| diagnostic.place(format!("--set {assignment}")).into())
    }

    /// Gives a task another weight.
    pub fn weigh(&mut self, task: &str, weight: f64) -> std::result::Result<(), Diagnostic> {
        let names: Vec<String> = self.terms.iter().map(|term| term.name.clone()).collect();
        match self.terms.iter_mut().find(|term| term.name == task) {
            Some(term) => {
                term.weight = weight;
                Ok(())
            }
            None => {
                Err(Diagnostic::error(format!("there is no task `{task}`"))
                    .suggest(task, names.iter().map(String::as_str)))
            }
        }
    }
}
