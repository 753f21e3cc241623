//! A spec file, read and resolved.

use super::{Model, override_setting, resolve, weigh};
use crate::base::{Diagnostic, Diagnostics, Source};
use crate::syntax::ast::File;
use crate::syntax::parser::parse;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A spec and its model.
#[derive(Debug)]
pub struct Spec {
    pub source: Source,
    pub file: File,
    pub model: Model,
    pub warnings: Diagnostics,
    /// The settings that were overridden, as `NAME=VALUE`.
    pub overrides: Vec<String>,
}

/// What is wrong with a spec, with its text for the message; without text when it could not be read.
#[derive(Debug)]
pub struct Failure {
    pub source: Option<Source>,
    pub diagnostics: Diagnostics,
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self { source: None, diagnostics }
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics::from(diagnostic).into()
    }
}

/// The text of a spec file.
pub fn read_spec(path: &Path) -> Result<Source, Failure> {
    let name = path.display().to_string();
    let text = crate::files::read(path).map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such spec".into(),
            std::io::ErrorKind::IsADirectory => "this is a folder, not a spec".into(),
            _ => format!("cannot read the spec: {}", crate::files::reason(&error)),
        };
        let diagnostic = Diagnostic::error(what).place(name.clone());
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let specs: Vec<String> = entries
            .filter(|e| e.path().is_file())
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .filter(|n| n.ends_with(".mtl"))
            .collect();
        let file = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        diagnostic.suggest(&file, specs.iter().map(String::as_str))
    })?;
    let text = String::from_utf8(text).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        Diagnostic::error("the spec is no UTF-8 text").place(format!("{name}:{line}"))
    })?;
    Ok(Source::new(name, text))
}

impl Spec {
    /// Reads a spec file.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Spec, Failure> {
        let root: PathBuf = path.parent().unwrap_or(Path::new("")).into();
        Spec::of(read_spec(path)?, &root, overrides)
    }

    /// Resolves the text of a spec. Relative paths in it start from `root`.
    pub fn of(source: Source, root: &Path, overrides: &[String]) -> Result<Spec, Failure> {
        let resolved = parse(&source).and_then(|mut file| {
            let mut diagnostics = Diagnostics::default();
            // The names of tasks are known when the spec is resolved.
            let (weights, settings): (Vec<&String>, Vec<&String>) = overrides.iter().partition(|o| weigh::is_weight(o));
            for assignment in settings {
                diagnostics.take(override_setting(&mut file, assignment));
            }
            diagnostics.into_result(())?;
            let (mut model, warnings) = resolve(&source, &file, root)?;
            let mut diagnostics = Diagnostics::default();
            for assignment in weights {
                diagnostics.take(model.override_weight(assignment));
            }
            diagnostics.into_result((file, model, warnings))
        });
        match resolved {
            Ok((file, model, warnings)) => Ok(Spec { source, file, model, warnings, overrides: overrides.to_vec() }),
            Err(diagnostics) => Err(Failure { source: Some(source), diagnostics }),
        }
    }

    /// SHA-256 of the text and the overrides: what a plan was made from.
    pub fn digest(&self) -> String {
        let text = format!("{}\0{}", self.source.text, self.overrides.join("\0"));
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
