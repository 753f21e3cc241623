//! `mtlc eval`: losses and metrics of a run, on every split or one.

use super::console::Console;
use super::cost::Cost;
use super::project::{Specs, in_spec};
use super::run::results;
use crate::base::{Diagnostic, Result as Checked};
use crate::data::Split;
use crate::engine::Engine;
use crate::model::{Failure, Spec};
use crate::plan::Graphs;
use crate::train::{self, Evaluation, Run, Sources};
use crate::weights::TensorFile;
use serde_json::json;
use std::path::PathBuf;

/// What came out, by split.
type Finals = Vec<(String, Evaluation)>;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    specs: Specs,
    /// The number of the run [default: the newest]
    #[arg(long, value_name = "NUMBER")]
    run: Option<u64>,
    /// Only this split: `train`, `validation` or `test`
    #[arg(long)]
    split: Option<String>,
    /// The engine to compute with
    #[arg(long)]
    engine: Option<String>,
    /// Where runs are [default: runs]
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let found = self.specs.find()?;
        let engine = found.engine(self.engine.as_deref())?;
        let runs = found.runs(self.runs.as_deref());
        let mut all = vec![];
        for file in &found.files {
            let spec = found.read(file)?;
            let run = Run::find(&runs, &spec.model.name, self.run, "weights.safetensors")?;
            let (finals, cost) = self.evaluate(&spec, engine, &run).map_err(in_spec(&spec))?;
            if console.json {
                let results: indexmap::IndexMap<String, Evaluation> = finals.into_iter().collect();
                all.push(json!({
                    "model": spec.model.name,
                    "run": run.folder.display().to_string(),
                    "cost": cost.map(|cost| cost.json()),
                    "results": results,
                }));
            } else {
                console.result(format!("{}: run {}\n{}", spec.model.name, run.number, results(&finals)));
                cost.iter().for_each(|cost| console.result(cost.table()));
            }
        }
        if console.json {
            console.result_json(&json!({ "evaluations": all }));
        }
        Ok(())
    }

    fn evaluate(&self, spec: &Spec, engine: &dyn Engine, run: &Run) -> Checked<(Finals, Option<Cost>)> {
        let (model, graphs) = (&spec.model, Graphs::of(&spec.model)?);
        let mut weights = crate::engine::Weights::initial(&graphs.eval, 0);
        weights.load(&TensorFile::read(&run.path("weights.safetensors"))?, "")?;
        let sources = Sources::open_fitted(model, &run.read_record()?.preparation)?;
        let finals = match &self.split {
            None => train::final_evaluations(model, &graphs.eval, engine, &weights, &sources)?,
            Some(name) => {
                let split = split(name, &sources)?;
                vec![(name.clone(), train::evaluate(model, &graphs.eval, engine, &weights, &sources, split)?)]
            }
        };
        let cost = Cost::of(model, &graphs.eval, engine, &weights, &sources, run, &finals)?;
        Ok((finals, cost))
    }
}

/// The split of that name, if it has rows.
fn split(name: &str, sources: &Sources) -> Checked<Split> {
    let filled = || Split::ALL.iter().zip(Split::NAMES).filter(|(s, _)| !sources.rows(**s).is_empty()).map(|(_, n)| n);
    Split::named(name).filter(|_| filled().any(|n| n == name)).ok_or_else(|| {
        Diagnostic::error(format!("there are no rows in a split `{name}`")).suggest(name, filled()).into()
    })
}
