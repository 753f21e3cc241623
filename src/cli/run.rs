//! `mtlc run`: trains what specs describe.

use super::build::{self, Built};
use super::console::{Console, table};
use super::project::{Found, Specs, in_spec};
use crate::base::{Diagnostic, Result as Checked};
use crate::engine::{Engine, weights::write_atomically};
use crate::model::Failure;
use crate::parts::optimizers;
use crate::report::html;
use crate::train::{self, EpochRecord, Evaluation, Fit, History, Run, RunRecord, Sources, State, Watch};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    specs: Specs,
    /// The engine to compute with; `mtlc devices` lists them
    #[arg(long)]
    engine: Option<String>,
    /// Where runs are written [default: runs]
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Go on with the newest run, from its last whole epoch
    #[arg(long)]
    resume: bool,
    /// Stop after that epoch, to be resumed later
    #[arg(long, value_name = "EPOCH")]
    stop_after: Option<u64>,
    /// Print results as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let found = self.specs.find()?;
        let engine = found.engine(self.engine.as_deref())?;
        let built = build::all(&found, console)?;
        let mut results = vec![];
        for (built, file) in built.iter().zip(&found.files) {
            let root = file.parent().unwrap_or(Path::new(""));
            results.push(self.train(built, root, &found, engine, console).map_err(in_spec(&built.spec))?);
        }
        if console.json {
            console.result_json(&json!({ "runs": results }));
        }
        Ok(())
    }

    fn train(
        &self,
        built: &Built,
        root: &Path,
        found: &Found,
        engine: &'static dyn Engine,
        console: &Console,
    ) -> Checked<serde_json::Value> {
        let Built { spec, graphs, plan } = built;
        let model = &spec.model;
        let runs = found.runs(self.runs.as_deref());
        let slots = optimizers::build(model.train.part("optimizer"));
        let resumed = self.resume.then(|| Run::find(&runs, &model.name, None, "last.safetensors")).transpose()?;
        let sources = match &resumed {
            Some(run) => Sources::open_fitted(model, &run.read_record()?.preparation)?,
            None => Sources::open(model)?,
        };
        let seed = model.train.int("seed") as u64;
        let (run, state, history, mut record) = match resumed {
            Some(run) => {
                let record = run.read_record()?;
                check_same(&record, spec, &sources, engine, &run)?;
                let fresh = crate::engine::Weights::initial(&graphs.train, seed);
                let state = State::read(&run.path("last.safetensors"), fresh, slots.slots())?;
                let history = History::read(&run.path("metrics.jsonl"), state.counters.epoch)?;
                console
                    .note(format!("{}: run {} goes on after epoch {}", model.name, run.number, state.counters.epoch));
                (run, state, history, record)
            }
            None => {
                let weights = train::first_weights(model, &graphs.train, seed, root, &runs)?;
                let run = Run::create(&runs, &model.name)?;
                let record = RunRecord {
                    model: model.name.clone(),
                    engine: engine.name().into(),
                    spec: spec.digest(),
                    overrides: spec.overrides.clone(),
                    data: sources.fingerprints(),
                    preparation: sources.preparation(),
                    finished: false,
                };
                run.write_record(&record)?;
                write_atomically(&run.path("spec.mtl"), spec.source.text.as_bytes())?;
                write_atomically(&run.path("plan.yaml"), plan.to_yaml().as_bytes())?;
                console.note(format!("{}: run {} on the engine `{}`", model.name, run.number, engine.name()));
                (run, State::new(weights), History::default(), record)
            }
        };
        for (target, (labelled, rows)) in train::labels(model, &sources, crate::data::Split::Train) {
            if labelled < rows {
                console.note(format!("  {target}: {labelled} of {rows} training rows have this label"));
            }
        }
        let mut progress = Progress { bar: ProgressBar::hidden(), console };
        let fit = Fit { model, engine, sources: &sources, run: &run, state, history, stop_after: self.stop_after };
        let outcome = train::fit(fit, &mut progress)?;
        if !outcome.finished {
            console.note(format!("stopped after epoch {}; `mtlc run --resume` goes on", outcome.state.counters.epoch));
            return Ok(json!({ "model": model.name, "run": run.folder.display().to_string(), "finished": false }));
        }
        let file = crate::engine::weights::TensorFile::read(&run.path("weights.safetensors"))?;
        let mut best = outcome.state.weights.clone();
        best.load(&file, "")?;
        let finals = train::final_evaluations(model, engine, &best, &sources)?;
        let mut facts = vec![
            (
                "Best epoch".to_string(),
                format!("{} of {}", outcome.state.counters.best_epoch, outcome.state.counters.epoch),
            ),
            ("Engine".into(), engine.name().into()),
        ];
        if let Some(frozen) = &outcome.frozen {
            facts.push((
                "Frozen throughout".into(),
                format!("{} tensors, SHA-256 {}… before and after", frozen.tensors, &frozen.hash[..16]),
            ));
        }
        let report = train::report(model, plan, &outcome.history, &finals, facts.clone(), &spec.source.text);
        write_atomically(&run.path("report.html"), html(&report).as_bytes())?;
        record.finished = true;
        run.write_record(&record)?;
        if !console.json {
            console.result(format!("{}: best epoch {}", model.name, facts[0].1));
            console.result(results(&finals));
            if let Some(frozen) = &outcome.frozen {
                console
                    .result(format!("  frozen: {} tensors, SHA-256 {} before and after", frozen.tensors, frozen.hash));
            }
            console.result(format!("  report: {}", run.path("report.html").display()));
        }
        Ok(json!({
            "model": model.name,
            "run": run.folder.display().to_string(),
            "finished": true,
            "best_epoch": outcome.state.counters.best_epoch,
            "epochs": outcome.state.counters.epoch,
            "frozen": outcome.frozen.as_ref().map(|f| json!({ "tensors": f.tensors, "sha256": f.hash })),
            "results": finals.into_iter().collect::<indexmap::IndexMap<String, Evaluation>>(),
        }))
    }
}

/// Resuming under another spec, engine or data would end in neither one's weights.
fn check_same(
    record: &RunRecord,
    spec: &crate::model::Spec,
    sources: &Sources,
    engine: &dyn Engine,
    run: &Run,
) -> Checked<()> {
    let place = run.folder.display().to_string();
    let changed = |what: &str| {
        Err(Diagnostic::error(format!("{what} has changed since the run began"))
            .place(place.clone())
            .help("begin a new run: leave `--resume` out")
            .into())
    };
    if record.spec != spec.digest() {
        return changed("the spec, or a setting given with `--set`,");
    }
    if record.data != sources.fingerprints() {
        return changed("the data");
    }
    if record.engine != engine.name() {
        return changed("the engine");
    }
    if record.finished {
        return Err(Diagnostic::error("the newest run has finished already")
            .place(place)
            .help("begin a new run: leave `--resume` out")
            .into());
    }
    Ok(())
}

/// Metrics and losses by split, as a table.
pub fn results(finals: &[(String, Evaluation)]) -> String {
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(finals.iter().map(|(split, e)| format!("{split} ({})", e.rows)));
    let show = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.4}"));
    let Some((_, first)) = finals.first() else { return String::new() };
    for name in first.metrics.keys() {
        let cells = finals.iter().map(|(_, e)| show(e.metrics.get(name).copied().flatten()));
        rows.push(std::iter::once(name.clone()).chain(cells).collect());
    }
    for name in first.losses.keys() {
        let cells = finals.iter().map(|(_, e)| show(e.losses.get(name).copied().flatten()));
        rows.push(std::iter::once(format!("loss of {name}")).chain(cells).collect());
    }
    let objective = finals.iter().map(|(_, e)| format!("{:.4}", e.objective));
    rows.push(std::iter::once("objective".to_string()).chain(objective).collect());
    table(&rows)
}

/// A bar for the steps of an epoch, and a line when it is over.
struct Progress<'a> {
    bar: ProgressBar,
    console: &'a Console,
}

impl Watch for Progress<'_> {
    fn epoch_begins(&mut self, epoch: u64, epochs: u64, steps: usize) {
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg} {eta}");
        self.bar = ProgressBar::new(steps as u64).with_prefix(format!("epoch {epoch}/{epochs}"));
        if let Ok(style) = style {
            self.bar.set_style(style);
        }
    }

    fn step(&mut self, objective: f64) {
        self.bar.set_message(format!("{objective:.4}"));
        self.bar.inc(1);
    }

    fn epoch_ends(&mut self, record: &EpochRecord, is_best: bool) {
        self.bar.finish_and_clear();
        let mut line = format!("epoch {:>3}  objective {:.4}", record.epoch, record.train.objective);
        if let Some(validation) = &record.validation {
            line += &format!(" / {:.4}", validation.objective);
            for (name, value) in &validation.metrics {
                line += &value.map_or(format!("  {name} -"), |x| format!("  {name} {x:.4}"));
            }
        }
        let mark = if is_best { "  best" } else { "" };
        self.console.note(format!("{line}  {:.1} s{mark}", record.seconds));
    }

    fn note(&mut self, text: &str) {
        self.console.note(text);
    }
}
