//! `mtlc fmt`: the canonical layout of specs.

use super::console::Console;
use super::project::Specs;
use crate::base::Diagnostic;
use crate::files::write_atomically;
use crate::model::{Failure, read_spec};
use crate::syntax::{format::format, parse};
use serde_json::json;
use std::path::Path;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    specs: Specs,
    /// Change nothing; fail when a spec is not in its canonical layout
    #[arg(long)]
    check: bool,
    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let found = self.specs.find()?;
        let mut changed = vec![];
        let mut failed: Option<Failure> = None;
        for path in &found.files {
            match self.file(path) {
                Ok(true) => changed.push(path.display().to_string()),
                Ok(false) => {}
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
        if console.json {
            // A check that fails says so in its diagnostics.
            if !self.check || changed.is_empty() {
                console.result_json(&json!({ "changed": changed }));
            }
        } else {
            let done = if self.check { "not in its canonical layout" } else { "formatted" };
            changed.iter().for_each(|name| console.result(format!("{name}: {done}")));
        }
        if self.check && !changed.is_empty() {
            let message = match changed.len() {
                1 => "a spec is not in its canonical layout".to_string(),
                n => format!("{n} specs are not in their canonical layout"),
            };
            let diagnostic = Diagnostic::error(message).help("`mtlc fmt` without `--check` formats");
            let names = if console.json { changed } else { vec![] };
            return Err(names.into_iter().fold(diagnostic, Diagnostic::note).into());
        }
        Ok(())
    }

    /// Whether a spec was not in its canonical layout.
    fn file(&self, path: &Path) -> Result<bool, Failure> {
        let source = read_spec(path)?;
        let file = parse(&source).map_err(|d| Failure { source: Some(source.clone()), diagnostics: d })?;
        let formatted = format(&source, &file);
        let differs = formatted != source.text;
        if differs && !self.check {
            write_atomically(path, formatted.as_bytes())?;
        }
        Ok(differs)
    }
}
