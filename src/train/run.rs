//! The folder of a run: `runs/MODEL/NUMBER/`.
//!
//! | file | holds |
//! | --- | --- |
//! | `spec.mtl`, `plan.yaml` | the spec and the plan, as they were |
//! | `run.json` | overrides, engine, what the data were, and what preparation steps learned from them |
//! | `last.safetensors` | the state after the last whole epoch, to resume from |
//! | `weights.safetensors` | the parameters of the best epoch so far |
//! | `metrics.jsonl` | a line an epoch |
//! | `calibration.json` | what products read, for serving in `int8` |
//! | `report.html` | the report, at the end |
//!
//! Runs are numbered from 1, so that they sort and can be named by hand.

use super::sources::Preparation;
use crate::base::{Diagnostic, Result};
use crate::files::{UNFINISHED, write_atomically};
use crate::weights::Report;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A run's folder.
#[derive(Clone, Debug)]
pub struct Run {
    pub folder: PathBuf,
    pub number: u64,
    /// Folders above it that were made for it, the innermost first.
    made: Vec<PathBuf>,
}

/// `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    pub model: String,
    pub engine: String,
    /// SHA-256 of the spec and its overrides.
    pub spec: String,
    pub overrides: Vec<String>,
    /// What the data files held, by the name of the data.
    pub data: IndexMap<String, String>,
    pub preparation: Preparation,
    /// What became of each file of weights that the spec names. A resumed run has its own weights and needs none of them.
    #[serde(default)]
    pub weights: Vec<Report>,
    pub finished: bool,
}

impl Run {
    /// A new folder behind the newest run of the model.
    pub fn create(root: &Path, model: &str) -> Result<Run> {
        let folder = root.join(model);
        let wrong = |e: std::io::Error| {
            Diagnostic::error(format!("cannot make the folder of a run: {}", e.kind()))
                .place(folder.display().to_string())
        };
        let above = folder.ancestors().filter(|f| !f.as_os_str().is_empty());
        let made: Vec<PathBuf> = above.take_while(|f| !f.exists()).map(Path::to_path_buf).collect();
        std::fs::create_dir_all(&folder).map_err(wrong)?;
        let mut number = Self::list(root, model).last().map_or(1, |run| run.number + 1);
        // Another process may take a number first; the folder decides.
        loop {
            let own = folder.join(number.to_string());
            match std::fs::create_dir(&own) {
                Ok(()) => return Ok(Run { folder: own, number, made }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(e) => return Err(wrong(e).into()),
            }
        }
    }

    /// Every run of a model, the oldest first.
    pub fn list(root: &Path, model: &str) -> Vec<Run> {
        let entries = std::fs::read_dir(root.join(model)).into_iter().flatten().flatten();
        let mut runs: Vec<Run> = entries
            .filter_map(|entry| {
                let number = entry.file_name().to_str()?.parse::<u32>().ok()?.into();
                Some(Run { folder: entry.path(), number, made: vec![] })
            })
            .collect();
        runs.sort_by_key(|run| run.number);
        runs
    }

    /// The newest run whose folder has a file of that name, or the run of that number.
    pub fn find(root: &Path, model: &str, number: Option<u64>, file: &str) -> Result<Run> {
        let runs = Self::list(root, model);
        let found = match number {
            Some(number) => runs.iter().find(|r| r.number == number),
            None => runs.iter().rev().find(|r| r.folder.join(file).is_file()),
        };
        found.filter(|r| r.folder.join(file).is_file()).cloned().ok_or_else(|| {
            let what = number.map_or("no run".into(), |n| format!("no run {n}"));
            let diagnostic = Diagnostic::error(format!("there is {what} of `{model}` that has `{file}`"));
            diagnostic
                .place(root.join(model).display().to_string())
                .help(format!("train it first: `mtlc run` with the spec of `{model}`"))
                .into()
        })
    }

    /// Removes what a run left that ended before its first checkpoint: there is nothing in it to go on with.
    pub fn discard(&self) {
        if !self.path("last.safetensors").exists() {
            // What cannot be removed does no harm: a folder without a checkpoint is never taken for a run.
            let _ = std::fs::remove_dir_all(&self.folder);
            for folder in &self.made {
                let _ = std::fs::remove_dir(folder);
            }
        }
    }

    /// Removes files that a process was writing when it was killed.
    pub fn sweep(&self) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub fn write_record(&self, record: &RunRecord) -> Result<()> {
        let text = serde_json::to_string_pretty(record).expect("a record is plain data");
        write_atomically(&self.path("run.json"), text.as_bytes())
    }

    pub fn read_record(&self) -> Result<RunRecord> {
        let path = self.path("run.json");
        let wrong = |what: String| Diagnostic::error(what).place(path.display().to_string());
        let text =
            std::fs::read_to_string(&path).map_err(|e| wrong(format!("cannot read the record of the run: {e}")))?;
        Ok(serde_json::from_str(&text).map_err(|e| wrong(format!("the record of the run is damaged: {e}")))?)
    }
}
