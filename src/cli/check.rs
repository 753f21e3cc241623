//! `mtlc check`: everything that is wrong with specs, before any data is read.

use super::console::{Console, list};
use super::project::{Specs, in_spec};
use crate::model::Failure;
use crate::plan::Graphs;
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    specs: Specs,
    /// Print diagnostics as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let found = self.specs.find()?;
        let mut failed = None;
        let mut checked = vec![];
        for file in &found.files {
            let result = found.read(file).and_then(|spec| {
                Graphs::of(&spec.model).map_err(in_spec(&spec))?;
                Ok(spec)
            });
            match result {
                Ok(spec) if console.json => {
                    checked.push(json!({ "file": file.display().to_string(), "model": spec.model.name, "warnings": list(Some(&spec.source), &spec.warnings) }));
                }
                Ok(spec) => {
                    console.diagnostics(Some(&spec.source), &spec.warnings);
                    let (name, tasks) = (&spec.model.name, spec.model.terms.len());
                    console.result(format!(
                        "{}: `{name}` is right ({tasks} task{})",
                        file.display(),
                        if tasks == 1 { "" } else { "s" }
                    ));
                }
                Err(failure) => {
                    // Every spec is checked; the last failure ends the command, the ones before are shown now.
                    if let Some(earlier) = failed.replace(failure) {
                        console.failure(&earlier);
                    }
                }
            }
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        if console.json {
            console.result_json(&json!({ "specs": checked, "diagnostics": [] }));
        }
        Ok(())
    }
}
