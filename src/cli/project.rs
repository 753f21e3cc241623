//! Which specs a command is about: those it names, or those of the project here.

use crate::base::{Diagnostic, Diagnostics};
use crate::engine::{self, Engine};
use crate::model::{Failure, Model, Project, Spec};
use std::path::{Path, PathBuf};

/// The specs that a command takes.
#[derive(clap::Args)]
pub struct Specs {
    /// Spec files; without any, those of the project here
    pub specs: Vec<PathBuf>,
    /// Override a setting, such as `train.epochs=3` or `data.NAME.seed=1`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// The specs of a command, and the project they belong to.
pub struct Found {
    pub files: Vec<PathBuf>,
    pub project: Project,
    set: Vec<String>,
}

impl Specs {
    pub fn find(&self) -> Result<Found, Failure> {
        let project = Project::find(Path::new(""))?.unwrap_or_default();
        let files = if self.specs.is_empty() { project.spec_files()? } else { self.specs.clone() };
        if files.is_empty() {
            let diagnostic =
                Diagnostic::error("there is no spec here").help("name one, or make a project: `mtlc new NAME`");
            return Err(diagnostic.into());
        }
        let set = project.overrides().into_iter().chain(self.set.iter().cloned()).collect();
        Ok(Found { files, project, set })
    }
}

impl Found {
    pub fn read(&self, file: &Path) -> Result<Spec, Failure> {
        Spec::read(file, &self.set)
    }

    /// The same with more settings, which come last and so count.
    pub fn read_with(&self, file: &Path, more: &[String]) -> Result<Spec, Failure> {
        Spec::read(file, &[&self.set[..], more].concat())
    }

    /// The only spec of a command that is about one.
    pub fn one(&self) -> Result<Spec, Failure> {
        self.one_with(&[])
    }

    /// The same with more settings.
    pub fn one_with(&self, more: &[String]) -> Result<Spec, Failure> {
        match &self.files[..] {
            [file] => self.read_with(file, more),
            files => {
                let names: Vec<String> = files.iter().map(|f| format!("`{}`", f.display())).collect();
                Err(Diagnostic::error("the project has several specs")
                    .help(format!("name one of {}", names.join(", ")))
                    .into())
            }
        }
    }

    /// Where runs are: what the command line says, else the project, else `runs`.
    pub fn runs(&self, given: Option<&Path>) -> PathBuf {
        let own = || self.project.root.join(self.project.runs.as_deref().unwrap_or(Path::new("runs")));
        given.map_or_else(own, Path::to_path_buf)
    }

    /// The plan file of a model.
    pub fn plan_file(&self, model: &str) -> PathBuf {
        self.project.root.join("target").join("mtl").join(model).join("plan.yaml")
    }

    /// Where features are cached.
    pub fn features(&self) -> PathBuf {
        self.project.root.join("target").join("mtl").join("features")
    }

    /// The engine: what the command line says, else the project, else the first.
    pub fn engine(&self, given: Option<&str>) -> Result<&'static dyn Engine, Failure> {
        let Some(name) = given.or(self.project.engine.as_deref()) else { return Ok(engine::ENGINES[0]) };
        engine::find(name).ok_or_else(|| {
            let known = engine::ENGINES.iter().map(|e| e.name());
            Diagnostic::error(format!("there is no engine `{name}`")).suggest(name, known).into()
        })
    }
}

/// The heads that a command is about: those it names, or all.
pub fn heads<'a>(model: &'a Model, asked: &'a [String]) -> Result<Vec<&'a str>, Diagnostics> {
    let all: Vec<&str> = model.heads().map(|h| h.name.as_str()).collect();
    if let Some(head) = asked.iter().find(|head| !all.contains(&head.as_str())) {
        let diagnostic = Diagnostic::error(format!("there is no head `{head}`"));
        return Err(diagnostic.suggest(head, all).into());
    }
    Ok(if asked.is_empty() { all } else { asked.iter().map(String::as_str).collect() })
}

/// What is wrong while a spec runs, with the spec's text for its labels.
pub fn in_spec(spec: &Spec) -> impl Fn(crate::base::Diagnostics) -> Failure + '_ {
    |diagnostics| Failure { source: Some(spec.source.clone()), diagnostics }
}
