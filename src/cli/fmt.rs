//! `mtlc fmt`: the canonical layout of specs.

use super::console::Console;
use super::project::Specs;
use crate::base::{Diagnostic, Source};
use crate::engine::weights::write_atomically;
use crate::model::Failure;
use crate::syntax::{format::format, parse};
use serde_json::json;

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
        for path in &found.files {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|e| Diagnostic::error(format!("cannot read the spec: {e}")).place(name.clone()))?;
            let source = Source::new(name.clone(), text);
            let file = parse(&source).map_err(|d| Failure { source: Some(source.clone()), diagnostics: d })?;
            let formatted = format(&source, &file);
            if formatted != source.text {
                if !self.check {
                    write_atomically(path, formatted.as_bytes())?;
                }
                changed.push(name);
            }
        }
        if console.json {
            console.result_json(&json!({ "changed": changed }));
        } else {
            let done = if self.check { "not in its canonical layout" } else { "formatted" };
            changed.iter().for_each(|name| console.result(format!("{name}: {done}")));
        }
        if self.check && !changed.is_empty() {
            return Err(Diagnostic::error(format!("{} specs are not in their canonical layout", changed.len()))
                .help("run `mtlc fmt`")
                .into());
        }
        Ok(())
    }
}
