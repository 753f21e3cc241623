//! `mtlc weights`: what files of weights hold, whoever wrote them.

use super::console::{Console, table};
use crate::base::Diagnostics;
use crate::model::Failure;
use crate::weights::{Entry, TensorFile, shown};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Files of weights: safetensors, PyTorch, npz, or the index of sharded weights
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print what they hold as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let mut wrong = Diagnostics::default();
        let mut all = vec![];
        for path in &self.files {
            let Some(file) = wrong.take(TensorFile::read(path)) else { continue };
            if console.json {
                all.push(describe(&file));
            } else {
                console.result(listing(&file));
            }
        }
        if wrong.has_errors() {
            return Err(wrong.into());
        }
        if console.json {
            console.result_json(&json!({ "files": all }));
        }
        Ok(())
    }
}

/// How many tensors and numbers can become parameters.
fn kept(file: &TensorFile) -> (usize, usize) {
    (file.tensors.len(), file.tensors.values().map(|array| array.data.len()).sum())
}

fn listing(file: &TensorFile) -> String {
    let mut rows = vec![["tensor", "shape", "type"].map(String::from).to_vec()];
    rows.extend(file.entries.iter().map(|entry| {
        let skipped = if entry.is_kept() { "" } else { ", skipped" };
        vec![shown(&entry.name), format!("{:?}", entry.dims), format!("{}{skipped}", entry.dtype.name())]
    }));
    let (tensors, numbers) = kept(file);
    let mut text = format!("{}: {}, sha256 {}\n{}\n", file.name, file.format, file.sha256, table(&rows));
    text += &format!("  {numbers} parameters and statistics in {tensors} tensors");
    if let Some(skipped) = skipped(&file.entries) {
        text += &format!("\n  {skipped}");
    }
    file.notes.iter().fold(text, |text, note| format!("{text}\n  {note}"))
}

/// What is left out because it is no parameter.
fn skipped(entries: &[Entry]) -> Option<String> {
    let skipped: Vec<&Entry> = entries.iter().filter(|entry| !entry.is_kept()).collect();
    let mut types: Vec<&str> = skipped.iter().map(|entry| entry.dtype.name()).collect();
    types.sort_unstable();
    types.dedup();
    (!skipped.is_empty())
        .then(|| format!("skipped: {} of {}, which are no parameters", skipped.len(), types.join(", ")))
}

fn describe(file: &TensorFile) -> Value {
    let (tensors, numbers) = kept(file);
    let entries = file.entries.iter().map(|entry| {
        let sha256 = file.tensors.get(&entry.name).map(|array| {
            let mut hash = Sha256::new();
            array.data.iter().for_each(|x| hash.update(x.to_le_bytes()));
            hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        });
        // The hash is over the numbers as `f32` in row-major order: the same for the same tensor in every format.
        json!({
            "name": entry.name, "shape": entry.dims, "type": entry.dtype.name(), "skipped": !entry.is_kept(), "sha256": sha256,
        })
    });
    json!({
        "file": file.name,
        "format": file.format,
        "sha256": file.sha256,
        "parameters": numbers,
        "tensors": tensors,
        "entries": entries.collect::<Vec<_>>(),
        "notes": file.notes,
    })
}
