//! `mtlc build`: checks specs and writes their plans.

use super::console::{Console, table};
use super::project::{Found, Specs, in_spec};
use crate::base::Diagnostic;
use crate::files::write_atomically;
use crate::model::{Failure, Spec};
use crate::plan::{Graphs, Plan, bytes, flop};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    specs: Specs,
    /// Print the summaries as JSON
    #[arg(long)]
    pub json: bool,
}

/// A spec with its graphs and its plan.
pub struct Built {
    pub spec: Spec,
    pub graphs: Graphs,
    pub plan: Plan,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let found = self.specs.find()?;
        let built = all(&found, console)?;
        let mut summaries = vec![];
        for (built, file) in built.iter().zip(&found.files) {
            let plan_file = found.plan_file(&built.spec.model.name);
            if console.json {
                summaries.push(json!({
                    "file": file.display().to_string(),
                    "plan": plan_file.display().to_string(),
                    "model": built.plan.model,
                    "parts": built.plan.parts,
                    "flops": built.plan.flops,
                    "memory": built.plan.memory,
                    "features": built.plan.features,
                }));
            } else {
                console.result(summary(built, file, &plan_file));
            }
        }
        if console.json {
            console.result_json(&json!({ "built": summaries }));
        }
        Ok(())
    }
}

/// Builds every spec and writes every plan, or reports what is wrong with all of them and writes none.
pub fn all(found: &Found, console: &Console) -> Result<Vec<Built>, Failure> {
    let mut failed: Option<Failure> = None;
    let mut built = vec![];
    let mut names: BTreeMap<String, &Path> = BTreeMap::new();
    for file in &found.files {
        match build(found, file) {
            Ok(one) => {
                console.diagnostics(Some(&one.spec.source), &one.spec.warnings);
                if let Some(first) = names.insert(one.spec.model.name.clone(), file) {
                    let message = format!("two specs are named `{}`", one.spec.model.name);
                    let diagnostic = Diagnostic::error(message).place(file.display().to_string());
                    failed = Some(diagnostic.note(format!("the first one is {}", first.display())).into());
                }
                built.push(one);
            }
            Err(failure) => {
                if let Some(earlier) = failed.replace(failure) {
                    console.failure(&earlier);
                }
            }
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    for one in &built {
        write_atomically(&found.plan_file(&one.spec.model.name), one.plan.to_yaml().as_bytes())?;
    }
    Ok(built)
}

fn build(found: &Found, file: &Path) -> Result<Built, Failure> {
    of(found.read(file)?)
}

/// Builds a spec that was read.
pub fn of(spec: Spec) -> Result<Built, Failure> {
    let graphs = Graphs::of(&spec.model).map_err(in_spec(&spec))?;
    let plan = Plan::of(&spec.model, &graphs, &spec.digest());
    Ok(Built { spec, graphs, plan })
}

fn summary(built: &Built, file: &Path, plan_file: &Path) -> String {
    let plan = &built.plan;
    let mut rows = vec![["part", "trained", "frozen", "statistics"].map(String::from).to_vec()];
    for part in &plan.parts {
        rows.push(vec![
            part.name.clone(),
            part.trained.to_string(),
            part.frozen.to_string(),
            part.statistics.to_string(),
        ]);
    }
    let tasks: Vec<String> = plan.tasks.iter().map(|t| format!("{} × {} of {}", t.weight, t.loss, t.name)).collect();
    let (train, serve) = (&built.spec.model.train, &built.spec.model.serve);
    let features = plan.features.as_ref().map(|f| format!("  {}\n", f.line())).unwrap_or_default();
    format!(
        "{} ({})\n{}\n  minimise {} ({})\n  {} an example forward, {} in training\n{features}  memory: {} to train (batch {}), {} to serve (batch {})\n  plan: {}",
        plan.model,
        file.display(),
        table(&rows),
        tasks.join(" + "),
        built.spec.model.balance.signature.name,
        flop(plan.flops.forward),
        flop(plan.flops.train),
        bytes(plan.memory.train_bytes),
        train.size("batch"),
        bytes(plan.memory.serve_bytes),
        serve.size("batch"),
        plan_file.display(),
    )
}
