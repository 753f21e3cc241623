//! The project file `mtlc.yaml`: which specs belong together, where runs go, and settings that override the specs'.

use crate::base::{Diagnostic, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `mtlc.yaml`. Every field may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Project {
    /// Spec files, relative to the project file; by default every `.mtl` beside it.
    pub specs: Vec<PathBuf>,
    /// Where runs are written, relative to the project file.
    pub runs: Option<PathBuf>,
    /// The engine to use, when the command line names none.
    pub engine: Option<String>,
    /// Settings for every spec: `train.epochs: 3`.
    pub set: BTreeMap<String, serde_yaml::Value>,
    /// The folder of the project file.
    #[serde(skip)]
    pub root: PathBuf,
}

impl Project {
    pub const FILE: &'static str = "mtlc.yaml";

    /// The project of a folder, or `None` when it has no project file.
    pub fn find(folder: &Path) -> Result<Option<Project>> {
        let path = folder.join(Self::FILE);
        let text = match crate::files::read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Diagnostic::error(format!("cannot read it: {}", crate::files::reason(&error)))
                    .place(path.display().to_string())
                    .into());
            }
        };
        let wrong = |error: serde_yaml::Error| {
            let place = match error.location() {
                Some(at) => format!("{}:{}:{}", path.display(), at.line(), at.column()),
                None => path.display().to_string(),
            };
            let help = "a project file has `specs`, `runs`, `engine` and `set`";
            Diagnostic::error(format!("the project file is wrong: {error}")).place(place).help(help)
        };
        let mut project: Project =
            if text.trim().is_empty() { Project::default() } else { serde_yaml::from_str(&text).map_err(wrong)? };
        project.root = folder.to_path_buf();
        Ok(Some(project))
    }

    /// The spec files, each joined to the project's folder.
    pub fn spec_files(&self) -> Result<Vec<PathBuf>> {
        if !self.specs.is_empty() {
            return Ok(self.specs.iter().map(|s| self.root.join(s)).collect());
        }
        let folder = if self.root.as_os_str().is_empty() { Path::new(".") } else { &self.root };
        let entries = std::fs::read_dir(folder)
            .map_err(|e| Diagnostic::error(format!("cannot list it: {e}")).place(folder.display().to_string()))?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|e| self.root.join(e.file_name())))
            .filter(|path| path.extension().is_some_and(|e| e == "mtl"))
            .collect();
        files.sort();
        Ok(files)
    }

    /// The overrides as `NAME=VALUE`.
    pub fn overrides(&self) -> Vec<String> {
        self.set.iter().map(|(name, value)| format!("{name}={}", as_text(value))).collect()
    }
}

/// A YAML value as a spec writes it.
fn as_text(value: &serde_yaml::Value) -> String {
    match value {
        serde_yaml::Value::String(text) => text.clone(),
        serde_yaml::Value::Sequence(items) => format!("[{}]", items.iter().map(as_text).collect::<Vec<_>>().join(", ")),
        other => serde_yaml::to_string(other).unwrap_or_default().trim().to_string(),
    }
}
