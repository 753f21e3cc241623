//! One training of a spec within a budget, and what came of it: what `compare` and `sweep` are made of.
//!
//! A trial is trained as `mtlc run` trains, and leaves such a run, but in a folder of its own below `target`, so that it is never
//! taken for a run of the project.

use super::build::Built;
use super::console::Console;
use super::project::Found;
use super::run::begins;
use crate::base::Result as Checked;
use crate::data::Split;
use crate::engine::{Engine, Weights};
use crate::files::write_atomically;
use crate::train::features::Loader;
use crate::train::{self, Evaluation, Fit, Run, Watch};
use crate::weights::TensorFile;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long each training may last.
#[derive(clap::Args)]
pub struct Budget {
    /// Epochs of each training [default: those of its spec]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Seconds of each training: no epoch begins later
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub seconds: Option<f64>,
}

/// A time on the command line.
fn seconds(text: &str) -> Result<f64, String> {
    // What a `Duration` holds is far more than a training lasts.
    let number = text.parse::<f64>().ok().filter(|s| *s > 0.0 && *s < 1e9);
    number.ok_or_else(|| "expected a number of seconds above 0".into())
}

impl Budget {
    /// The settings of a spec that the budget overrides.
    pub fn overrides(&self) -> Vec<String> {
        self.epochs.map(|epochs| format!("train.epochs={epochs}")).into_iter().collect()
    }

    /// The budget in words.
    pub fn told(&self) -> String {
        let epochs = self.epochs.map(|n| format!("{n} epochs"));
        let seconds = self.seconds.map(|s| format!("{s} s"));
        match (epochs, seconds) {
            (None, None) => "the epochs of each spec".into(),
            (Some(one), None) | (None, Some(one)) => one,
            (Some(epochs), Some(seconds)) => format!("{epochs}, at most {seconds}"),
        }
    }
}

/// Folders that a trial reads and writes.
pub struct Place {
    /// Where files of the spec start.
    pub root: PathBuf,
    /// Where the trial becomes a run.
    pub runs: PathBuf,
    /// Where runs are that the spec starts from.
    pub start: PathBuf,
    /// Where features are cached.
    pub features: PathBuf,
}

impl Place {
    /// The place of a spec file's trials of a command. They start from the runs of the project.
    pub fn of(file: &Path, found: &Found, command: &str, start: &Path) -> Place {
        Place {
            root: file.parent().unwrap_or(Path::new("")).into(),
            runs: found.project.root.join("target").join("mtl").join(command),
            start: start.into(),
            features: found.features(),
        }
    }
}

/// What came of a training.
pub struct Trial {
    pub run: Run,
    /// The parameters of the best epoch.
    pub weights: Weights,
    /// How good they are on test rows, or on validation or training rows where there are no others.
    pub split: Split,
    pub evaluation: Evaluation,
    /// How good they are on validation rows.
    pub validation: Option<Evaluation>,
    pub epochs: u64,
    /// From the first epoch to the last, with validation and checkpoints.
    pub seconds: f64,
}

/// Trains a spec from its beginning; `name` is what talk calls it.
pub fn train(
    built: &Built,
    name: &str,
    place: &Place,
    budget: &Budget,
    engine: &'static dyn Engine,
    console: &Console,
) -> Checked<Trial> {
    let start = begins(built, &place.root, &place.runs, &place.start, engine)?;
    let run = start.run.clone();
    let began = Instant::now();
    let until = budget.seconds.map(|s| began + Duration::from_secs_f64(s));
    let trial = finish(built, start, place, engine, &mut Quiet { name, until, console });
    match &trial {
        Ok(trial) => console.note(format!("{name}: {} epochs in {:.1} s", trial.epochs, trial.seconds)),
        Err(_) => run.discard(),
    }
    trial
}

fn finish(
    built: &Built,
    start: super::run::Start,
    place: &Place,
    engine: &'static dyn Engine,
    watch: &mut Quiet,
) -> Checked<Trial> {
    let model = &built.spec.model;
    let super::run::Start { run, sources, state, history, mut record } = start;
    write_atomically(&run.path("spec.mtl"), built.spec.source.text.as_bytes())?;
    write_atomically(&run.path("plan.yaml"), built.plan.to_yaml().as_bytes())?;
    let features = Some(place.features.as_path());
    let fit =
        Fit { model, engine, sources: &sources, run: &run, state, history, stop_after: None, profile: false, features };
    let began = Instant::now();
    let outcome = train::fit(fit, watch)?;
    let seconds = began.elapsed().as_secs_f64();
    record.features.extend(outcome.cached.iter().cloned());
    record.finished = true;
    run.write_record(&record)?;
    let mut weights = outcome.state.weights.clone();
    weights.load(&TensorFile::read(&run.path("weights.safetensors"))?, "")?;
    let loader = Loader { sources: &sources, features: outcome.features.as_ref() };
    let filled = [Split::Test, Split::Validation].into_iter().find(|s| !sources.rows(*s).is_empty());
    let split = filled.unwrap_or(Split::Train);
    let evaluation = train::evaluate_with(model, &built.graphs.eval, engine, &weights, loader, split)?;
    let counters = &outcome.state.counters;
    let best = outcome.history.0.iter().find(|epoch| epoch.epoch == counters.best_epoch);
    Ok(Trial {
        validation: best.and_then(|epoch| epoch.validation.clone()),
        epochs: counters.epoch,
        run,
        weights,
        split,
        evaluation,
        seconds,
    })
}

/// Says what must be known, and ends the training in time.
struct Quiet<'a> {
    name: &'a str,
    until: Option<Instant>,
    console: &'a Console,
}

impl Watch for Quiet<'_> {
    fn is_over(&mut self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    fn note(&mut self, text: &str) {
        self.console.note(format!("{}: {text}", self.name));
    }
}
