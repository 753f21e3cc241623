//! Training: against PyTorch, resumed, frozen, with labels missing, and on the embedded data.

pub mod adapting;
mod coded;
mod dense;
mod drawn;
mod dropout;
mod features;
mod frozen;
mod frozen_norms;
mod golden;
mod learning;
mod origins;
mod resume;
mod sampling;
mod tapes;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the example specs.
pub fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("specs")
}

/// Runs `mtlc run SPEC --json` in a folder and gives what it printed about the run. It must succeed.
pub fn train(folder: &Path, spec: &Path, more: &[&str]) -> Value {
    train_with(folder, spec, more, None)
}

/// The same on a number of threads.
pub fn train_with(folder: &Path, spec: &Path, more: &[&str], threads: Option<usize>) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtlc"));
    command.current_dir(folder).arg("run").arg(spec).arg("--json").args(more);
    if let Some(threads) = threads {
        command.args(["--threads", &threads.to_string()]);
    }
    let output = command.output().expect("the command starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut printed: Value = serde_json::from_str(&text).expect("the result is JSON");
    printed["runs"][0].take()
}

/// A metric of a split in what [`train`] gave.
pub fn metric(run: &Value, split: &str, name: &str) -> f64 {
    let value = &run["results"][split]["metrics"][name];
    value.as_f64().unwrap_or_else(|| panic!("no metric {name} on {split}: {run}"))
}

/// A file of a run's folder.
pub fn file(folder: &Path, run: &Value, name: &str) -> Vec<u8> {
    let path = folder.join(run["run"].as_str().expect("the folder of the run")).join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
