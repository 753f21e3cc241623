//! What serving in low precision costs: each metric of the most telling split in f32, in the precision, and how far apart they are.

use super::console::{ABSENT, table};
use crate::base::Result as Checked;
use crate::data::Split;
use crate::engine::{Engine, Weights};
use crate::graph::Graph;
use crate::model::Model;
use crate::train::{self, Evaluation, Run, Sources, precision};
use serde_json::{Value, json};

/// A split evaluated in the precision that the spec serves in.
pub struct Cost {
    precision: String,
    split: String,
    exact: Evaluation,
    rounded: Evaluation,
}

impl Cost {
    /// Evaluates the first of these splits once more; nothing where the spec serves in f32.
    pub fn of(
        model: &Model,
        graph: &Graph,
        engine: &dyn Engine,
        weights: &Weights,
        sources: &Sources,
        run: &Run,
        finals: &[(String, Evaluation)],
    ) -> Checked<Option<Cost>> {
        let precision = precision::asked(model);
        let first = finals.first().and_then(|(name, exact)| Some((name, exact, Split::named(name)?)));
        let Some((name, exact, split)) = first.filter(|_| precision != "f32") else { return Ok(None) };
        let ranges = || precision::ranges(run, graph, engine, weights, || Ok(sources));
        let rounded = precision::in_precision(model, graph, ranges)?;
        let rounded = train::evaluate(model, &rounded, engine, weights, sources, split)?;
        Ok(Some(Cost { precision: precision.into(), split: name.clone(), exact: exact.clone(), rounded }))
    }

    /// A row for each metric and each loss.
    pub fn table(&self) -> String {
        let head = [&format!("what {} costs on {}", self.precision, self.split), "f32", &self.precision, "difference"];
        let mut rows = vec![head.map(String::from).to_vec()];
        let show = |x: Option<f64>| x.map_or(ABSENT.into(), |x| format!("{x:.4}"));
        let row = |name: String, a: Option<f64>, b: Option<f64>| {
            let difference = a.zip(b).map_or(ABSENT.into(), |(a, b)| format!("{:+.4}", b - a));
            vec![name, show(a), show(b), difference]
        };
        let Evaluation { metrics, losses, .. } = &self.rounded;
        rows.extend(metrics.iter().map(|(name, b)| row(name.clone(), self.exact.metrics[name], *b)));
        rows.extend(losses.iter().map(|(name, b)| row(format!("loss of {name}"), self.exact.losses[name], *b)));
        table(&rows)
    }

    pub fn json(&self) -> Value {
        json!({ "precision": self.precision, "split": self.split, "f32": self.exact, "rounded": self.rounded })
    }
}
