//! `mtlc run`: trains what specs describe.

use super::build::{self, Built};
use super::console::{ABSENT, Console, table};
use super::cost::Cost;
use super::machine;
use super::profile;
use super::project::{Found, Specs, in_spec};
use crate::base::{Diagnostic, Result as Checked};
use crate::data::Split;
use crate::engine::{Engine, Weights};
use crate::files::write_atomically;
use crate::model::Failure;
use crate::parts::optimizers;
use crate::plan::Memory;
use crate::report::html;
use crate::train::features::Loader;
use crate::train::{self, EpochRecord, Evaluation, Fit, History, Run, RunRecord, Sampler, Sources, State, Watch};
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
    #[arg(long, value_name = "EPOCH", value_parser = clap::value_parser!(u64).range(1..))]
    stop_after: Option<u64>,
    /// Measure what each op costs, and tell it at the end
    #[arg(long)]
    profile: bool,
    /// Print results as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let found = self.specs.find()?;
        let engine = found.engine(self.engine.as_deref())?;
        if self.profile {
            profile::check(engine)?;
        }
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
        let model = &built.spec.model;
        let runs = found.runs(self.runs.as_deref());
        let resumed = if self.resume { self.resumed(built, &runs, found, engine)? } else { Resumed::New };
        let start = match resumed {
            Resumed::Finished(run) => {
                console.note(format!("{}: run {} has finished", model.name, run.number));
                return Ok(json!({ "model": model.name, "run": run.folder.display().to_string(), "finished": true }));
            }
            Resumed::Unfinished(run, record) => goes_on(built, run, *record)?,
            Resumed::New => begins(built, root, &runs, &runs, engine)?,
        };
        let name = engine.name();
        match start.state.counters.epoch {
            0 => console.note(format!("{}: run {} on the engine `{name}`", model.name, start.run.number)),
            epoch => console.note(format!("{}: run {} goes on after epoch {epoch}", model.name, start.run.number)),
        }
        let run = start.run.clone();
        let result = self.finish(built, start, engine, console, &found.features());
        if result.is_err() {
            run.discard();
        }
        result
    }

    /// What `--resume` goes on with. In a project of several specs it takes up where the project stopped: specs that have
    /// finished are left alone, and those that never began begin.
    fn resumed(&self, built: &Built, runs: &Path, found: &Found, engine: &dyn Engine) -> Checked<Resumed> {
        let run = match Run::find(runs, &built.spec.model.name, None, "last.safetensors") {
            Ok(run) => run,
            Err(_) if found.files.len() > 1 => return Ok(Resumed::New),
            Err(none) => return Err(none),
        };
        let record = run.read_record()?;
        check_same(&record, &built.spec, engine, &run)?;
        match (record.finished, found.files.len()) {
            (false, _) => Ok(Resumed::Unfinished(run, Box::new(record))),
            (true, 1) => Err(Diagnostic::error("the newest run has finished already")
                .place(run.folder.display().to_string())
                .help("begin a new run: leave `--resume` out")
                .into()),
            (true, _) => Ok(Resumed::Finished(run)),
        }
    }

    /// Trains to the end, evaluates the best checkpoint and writes the report.
    fn finish(
        &self,
        built: &Built,
        start: Start,
        engine: &'static dyn Engine,
        console: &Console,
        features: &Path,
    ) -> Checked<serde_json::Value> {
        let Built { spec, plan, .. } = built;
        let model = &spec.model;
        let Start { run, sources, state, history, mut record } = start;
        if state.counters.epoch == 0 {
            run.write_record(&record)?;
            write_atomically(&run.path("spec.mtl"), spec.source.text.as_bytes())?;
            write_atomically(&run.path("plan.yaml"), plan.to_yaml().as_bytes())?;
        }
        for report in record.weights.iter().filter(|_| state.counters.epoch == 0) {
            console.note(format!("  {}", report.brief()));
        }
        for (target, (labelled, rows)) in train::labels(model, &sources, Split::Train) {
            if labelled < rows {
                let by_source = train::labels_by_source(model, &sources, &target, Split::Train);
                console.note(format!("  {target}: {labelled} of {rows} training rows have this label{by_source}"));
            }
        }
        for line in Sampler::new(model, &sources)?.told(model, &sources) {
            console.note(format!("  {line}"));
        }
        let mut progress = Progress { bar: ProgressBar::hidden(), console };
        let fit = Fit {
            model,
            engine,
            sources: &sources,
            run: &run,
            state,
            history,
            stop_after: self.stop_after,
            profile: self.profile,
            features: Some(features),
        };
        let outcome = train::fit(fit, &mut progress)?;
        record.features.extend(outcome.cached.iter().cloned());
        let profile = outcome.profile.clone().map(profile::Told::of);
        let with = |mut result: serde_json::Value| {
            if let (Some(told), false) = (&profile, console.json) {
                console.result(told.text());
            }
            if let (Some(told), Some(result)) = (&profile, result.as_object_mut()) {
                result.insert("profile".into(), told.json());
            }
            result
        };
        if !outcome.finished {
            run.write_record(&record)?;
            console.note(format!("stopped after epoch {}; `mtlc run --resume` goes on", outcome.state.counters.epoch));
            let result = json!({ "model": model.name, "run": run.folder.display().to_string(), "finished": false });
            return Ok(with(result));
        }
        let file = crate::weights::TensorFile::read(&run.path("weights.safetensors"))?;
        let mut best = outcome.state.weights.clone();
        best.load(&file, "")?;
        let eval = &built.graphs.eval;
        let loader = Loader { sources: &sources, features: outcome.features.as_ref() };
        let finals = train::final_evaluations(model, eval, engine, &best, loader)?;
        let cost = Cost::of(model, eval, engine, &best, &sources, &run, &finals)?;
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
        for cached in &record.features {
            let how = if cached.computed { "computed" } else { "read" };
            facts.push(("Cached".into(), format!("{}, {how} in epoch {}", cached.line(), cached.epoch)));
        }
        let report = train::report(model, plan, &outcome.history, &finals, facts.clone(), &spec.source.text);
        write_atomically(&run.path("report.html"), html(&report).as_bytes())?;
        record.finished = true;
        run.write_record(&record)?;
        if !console.json {
            console.result(format!("{}: best epoch {}", model.name, facts[0].1));
            console.result(results(&finals));
            cost.iter().for_each(|cost| console.result(cost.table()));
            if let Some(frozen) = &outcome.frozen {
                console
                    .result(format!("  frozen: {} tensors, SHA-256 {} before and after", frozen.tensors, frozen.hash));
            }
            console.result(format!("  report: {}", run.path("report.html").display()));
        }
        Ok(with(json!({
            "model": model.name,
            "run": run.folder.display().to_string(),
            "finished": true,
            "best_epoch": outcome.state.counters.best_epoch,
            "epochs": outcome.state.counters.epoch,
            "frozen": outcome.frozen.as_ref().map(|f| json!({ "tensors": f.tensors, "sha256": f.hash })),
            "features": record.features,
            "cost": cost.map(|cost| cost.json()),
            "results": finals.into_iter().collect::<indexmap::IndexMap<String, Evaluation>>(),
        })))
    }
}

/// What `--resume` finds.
enum Resumed {
    Unfinished(Run, Box<RunRecord>),
    Finished(Run),
    New,
}

/// A run that can be trained.
pub(super) struct Start<'a> {
    pub run: Run,
    pub sources: Sources<'a>,
    pub state: State,
    pub history: History,
    pub record: RunRecord,
}

/// A new run in the folder `runs`, which may start from runs in the folder `start`. Its own folder is made last, when data and
/// weights are known to be right.
pub(super) fn begins<'a>(
    built: &'a Built,
    root: &Path,
    runs: &Path,
    start: &Path,
    engine: &dyn Engine,
) -> Checked<Start<'a>> {
    let Built { spec, graphs, .. } = built;
    let model = &spec.model;
    let sources = Sources::open(model)?;
    let rows = sources.rows(Split::Train).len();
    machine::check_room(&Memory::within(model, graphs, rows), model)?;
    let seed = model.train.int("seed") as u64;
    let (weights, reports) = train::first_weights(model, &graphs.train, seed, root, start)?;
    let record = RunRecord {
        model: model.name.clone(),
        engine: engine.name().into(),
        spec: spec.digest(),
        overrides: spec.overrides.clone(),
        data: sources.fingerprints(),
        preparation: sources.preparation(),
        weights: reports,
        features: vec![],
        finished: false,
    };
    let run = Run::create(runs, &model.name)?;
    Ok(Start { run, sources, state: State::new(weights), history: History::default(), record })
}

/// A run as its last whole epoch left it.
fn goes_on(built: &Built, run: Run, record: RunRecord) -> Checked<Start<'_>> {
    let (model, graphs) = (&built.spec.model, &built.graphs);
    let sources = Sources::open_fitted(model, &record.preparation)?;
    if record.data != sources.fingerprints() {
        return Err(changed("the data has", &run).into());
    }
    let slots = |epoch| optimizers::build(model.phase(epoch).optimizer).slots();
    let fresh = Weights::initial(&graphs.train, model.train.int("seed") as u64);
    let state = State::read(&run.path("last.safetensors"), fresh, slots)?;
    let history = History::read(&run.path("metrics.jsonl"), state.counters.epoch)?;
    run.sweep();
    Ok(Start { run, sources, state, history, record })
}

/// Resuming under another spec, engine or data would end in neither one's weights.
fn check_same(record: &RunRecord, spec: &crate::model::Spec, engine: &dyn Engine, run: &Run) -> Checked<()> {
    if record.spec != spec.digest() {
        let what = if record.overrides == spec.overrides {
            "the spec has"
        } else {
            "what is set with `--set` or `mtlc.yaml` has"
        };
        let list = |overrides: &[String]| match overrides {
            [] => "nothing is set".to_string(),
            some => some.iter().map(|o| format!("`{o}`")).collect::<Vec<_>>().join(", "),
        };
        let diagnostic = changed(what, run);
        return Err(if record.overrides == spec.overrides {
            diagnostic
        } else {
            diagnostic
                .note(format!("in the run: {}", list(&record.overrides)))
                .note(format!("now: {}", list(&spec.overrides)))
        }
        .into());
    }
    if record.engine != engine.name() {
        return Err(changed("the engine has", run).note(format!("it was `{}`", record.engine)).into());
    }
    Ok(())
}

fn changed(what: &str, run: &Run) -> Diagnostic {
    Diagnostic::error(format!("{what} changed since the run began"))
        .place(run.folder.display().to_string())
        .help("begin a new run: leave `--resume` out")
}

/// Metrics and losses by split, as a table.
pub fn results(finals: &[(String, Evaluation)]) -> String {
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(finals.iter().map(|(split, e)| format!("{split} ({})", e.rows)));
    let show = |x: Option<f64>| x.map_or(ABSENT.into(), |x| format!("{x:.4}"));
    let Some((_, first)) = finals.first() else { return String::new() };
    for name in first.metrics.keys() {
        let cells = finals.iter().map(|(_, e)| show(e.metrics.get(name).copied().flatten()));
        rows.push(std::iter::once(name.clone()).chain(cells).collect());
    }
    for name in first.losses.keys() {
        let cells = finals.iter().map(|(_, e)| show(e.losses.get(name).copied().flatten()));
        rows.push(std::iter::once(format!("loss of {name}")).chain(cells).collect());
    }
    let objective = finals.iter().map(|(_, e)| show(e.has_labels().then_some(e.objective)));
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
            line += &match validation.has_labels() {
                true => format!("  validation {:.4}", validation.objective),
                false => format!("  validation {ABSENT}"),
            };
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

    fn features_begin(&mut self, of: &str, rows: usize) {
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} rows {eta}");
        self.bar = ProgressBar::new(rows as u64).with_prefix(format!("features of {of}"));
        if let Ok(style) = style {
            self.bar.set_style(style);
        }
    }

    fn features(&mut self, rows: usize) {
        self.bar.inc(rows as u64);
    }

    fn features_end(&mut self) {
        self.bar.finish_and_clear();
    }
}
