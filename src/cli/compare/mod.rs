//! `mtlc compare`: trains several specs under one budget, and holds quality and cost of what answers against each other.
//!
//! An entry is a spec, or several that together answer: `shared.mtl a.mtl+b.mtl` holds one model of two tasks against two models.
//! Figures are matched by metric and target, so heads may have other names. A spec that stands in several entries is trained once
//! for each seed. Specs that start from runs take those of specs further up in the list, of the same seed.

mod table;

use super::bench;
use super::build::{self, Built};
use super::console::Console;
use super::project::{Found, Specs, in_spec};
use super::trial::{self, Budget, Place, Trial};
use crate::base::{Diagnostic, Result as Checked};
use crate::data::Split;
use crate::engine::Engine;
use crate::files::write_atomically;
use crate::model::{Failure, Model, WeightsFrom};
use crate::report::html;
use crate::train::Evaluation;
use crate::train::compare::{self, Quality};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use table::Compared;

#[derive(clap::Args)]
pub struct Args {
    /// Specs, or several joined by `+` that answer together; without any, those of the project here
    #[arg(value_name = "ENTRY")]
    entries: Vec<String>,
    /// Override a setting of every spec, such as `data.NAME.seed=1`
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    budget: Budget,
    /// Train each spec so often, with the seed of its `train` and those that follow it
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: u32,
    /// The entry that Δm is about: a spec, as it is named here or in the table, or `first`
    #[arg(long, value_name = "ENTRY", default_value = "first", conflicts_with = "against_single")]
    baseline: String,
    /// Hold a spec of several tasks against models of one task each, which are made of it
    #[arg(long)]
    against_single: bool,
    /// Rows at once, where rows in a second are measured
    #[arg(long, value_name = "ROWS", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch: u32,
    /// The engine to compute with; `mtlc devices` lists them
    #[arg(long)]
    engine: Option<String>,
    /// Where runs are that specs start from, if no spec further up trains them [default: runs]
    #[arg(long, value_name = "DIR")]
    runs: Option<PathBuf>,
    /// Write the comparison as a page, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the comparison as JSON
    #[arg(long)]
    pub json: bool,
}

/// A model that is trained: a spec, or what it says of one target.
#[derive(Clone, PartialEq)]
struct Candidate {
    file: PathBuf,
    single: Option<String>,
}

/// What answers together.
struct Entry {
    name: String,
    /// Numbers of candidates.
    parts: Vec<usize>,
}

/// What is known of a candidate: of each seed, and of the first one alone.
#[derive(Default)]
struct Told {
    model: String,
    file: String,
    seeds: Vec<Seed>,
    cost: Option<Cost>,
}

/// What came of one seed.
struct Seed {
    seed: i64,
    quality: Quality,
    split: Split,
    rows: usize,
    epochs: u64,
    seconds: f64,
    /// Of the trainings that it starts from; `None` where it starts from runs that were there.
    pretraining: Option<f64>,
    run: String,
}

/// What does not depend on the seed.
struct Cost {
    trained: u64,
    parameters: u64,
    train_bytes: u64,
    serve_bytes: u64,
    /// One row, and a batch.
    latency_ms: f64,
    batch_ms: f64,
}

/// Passes that are measured of one row, and of a batch.
const PASSES: [u32; 2] = [50, 20];

impl Args {
    pub fn run(&self, console: &Console) -> Result<(), Failure> {
        let (found, entries, candidates) = self.listed()?;
        let engine = found.engine(self.engine.as_deref())?;
        let baseline = self.baseline(&entries)?;
        let built = candidates.iter().map(|c| self.build(c, &found, None)).collect::<Result<Vec<_>, _>>()?;
        check_answers(&entries, &built)?;
        let mut told: Vec<Told> = vec![];
        for (built, candidate) in built.iter().zip(&candidates) {
            console.diagnostics(Some(&built.spec.source), &built.spec.warnings);
            let (model, file) = (built.spec.model.name.clone(), candidate.file.display().to_string());
            told.push(Told { model, file, ..Told::default() });
        }
        for nth in 0..i64::from(self.seeds) {
            // Seconds of what was trained of this seed, with all that it started from.
            let mut trained: HashMap<String, f64> = HashMap::new();
            for (number, candidate) in candidates.iter().enumerate() {
                let seed = built[number].spec.model.train.int("seed").saturating_add(nth);
                let own = if nth == 0 { None } else { Some(self.build(candidate, &found, Some(seed))?) };
                let built = own.as_ref().unwrap_or(&built[number]);
                let model = &built.spec.model;
                let one = || -> Checked<(Trial, Option<f64>)> {
                    let runs = found.runs(self.runs.as_deref());
                    let mut place = Place::of(&candidate.file, &found, "compare", &runs);
                    let pretraining = pretraining(model, &trained)?;
                    if pretraining.is_some_and(|seconds| seconds > 0.0) {
                        place.start.clone_from(&place.runs);
                    }
                    let name = format!("{} (seed {seed})", model.name);
                    Ok((trial::train(built, &name, &place, &self.budget, engine, console)?, pretraining))
                };
                let (trial, pretraining) = one().map_err(in_spec(&built.spec))?;
                trained.insert(model.name.clone(), trial.seconds + pretraining.unwrap_or(0.0));
                if nth == 0 {
                    told[number].cost = Some(self.cost(built, engine, &trial).map_err(in_spec(&built.spec))?);
                }
                told[number].seeds.push(Seed {
                    seed,
                    quality: compare::quality(model, &trial.evaluation),
                    split: trial.split,
                    rows: trial.evaluation.rows,
                    epochs: trial.epochs,
                    seconds: trial.seconds,
                    pretraining,
                    run: trial.run.folder.display().to_string(),
                });
            }
        }
        let compared = Compared::of(&entries, &told, baseline, (self.budget.told(), self.batch, engine.name()));
        if let Some(file) = &self.html {
            write_atomically(file, html(&compared.report()).as_bytes())?;
        }
        match console.json {
            true => console.result_json(&compared.json()),
            false => console.result(compared.text()),
        }
        Ok(())
    }

    /// The entries, and every candidate of them once.
    fn listed(&self) -> Result<(Found, Vec<Entry>, Vec<Candidate>), Failure> {
        // A file may have a `+` in its name.
        let split = |entry: &String| match Path::new(entry).is_file() {
            true => vec![PathBuf::from(entry)],
            false => entry.split('+').map(PathBuf::from).collect(),
        };
        let mut groups: Vec<Vec<PathBuf>> = self.entries.iter().map(split).collect();
        if let Some(entry) = self.entries.iter().zip(&groups).find(|(_, g)| g.iter().any(|f| f.as_os_str().is_empty()))
        {
            let diagnostic = Diagnostic::error(format!("`{}` names no spec beside a `+`", entry.0));
            return Err(diagnostic.help("for example `shared.mtl a.mtl+b.mtl`").into());
        }
        let found = Specs { specs: groups.concat(), set: self.set.clone() }.find()?;
        if groups.is_empty() {
            groups = found.files.iter().map(|file| vec![file.clone()]).collect();
        }
        if self.against_single {
            let [group] = &groups[..] else { return Err(one_spec(groups.len()).into()) };
            let [file] = &group[..] else { return Err(one_spec(group.len()).into()) };
            return self.against_single(found, file);
        }
        let stems: Vec<String> = groups.iter().map(|group| named(group, |file| file.file_stem())).collect();
        let mut candidates: Vec<Candidate> = vec![];
        let mut entries = vec![];
        for (number, group) in groups.iter().enumerate() {
            let short = &stems[number];
            let alone = stems.iter().filter(|stem| *stem == short).count() == 1;
            let name = if alone { short.clone() } else { named(group, |file| Some(file.as_os_str())) };
            let mut parts = vec![];
            for file in group {
                let candidate = Candidate { file: file.clone(), single: None };
                let known = candidates.iter().position(|c| *c == candidate);
                parts.push(known.unwrap_or(candidates.len()));
                if known.is_none() {
                    candidates.push(candidate);
                }
            }
            entries.push(Entry { name, parts });
        }
        Ok((found, entries, candidates))
    }

    /// A spec, and a model for each of its targets.
    fn against_single(&self, found: Found, file: &Path) -> Result<(Found, Vec<Entry>, Vec<Candidate>), Failure> {
        let spec = found.read(file)?;
        let targets = spec.model.answered();
        if targets.len() < 2 {
            let diagnostic = Diagnostic::error(format!("`{}` has one task only", spec.model.name));
            return Err(diagnostic.help("`--against-single` is about specs of several tasks").into());
        }
        let single = |target: &&str| Candidate { file: file.into(), single: Some(target.to_string()) };
        let mut candidates: Vec<Candidate> = targets.iter().map(single).collect();
        let singles = Entry { name: "single tasks".into(), parts: (0..candidates.len()).collect() };
        candidates.push(Candidate { file: file.into(), single: None });
        let whole = Entry { name: spec.model.name.clone(), parts: vec![candidates.len() - 1] };
        Ok((found, vec![singles, whole], candidates))
    }

    /// The number of the entry that the others are held against.
    fn baseline(&self, entries: &[Entry]) -> Checked<usize> {
        if self.baseline == "first" {
            return Ok(0);
        }
        let asked = self.entries.iter().position(|entry| *entry == self.baseline);
        let named = || entries.iter().position(|entry| entry.name == self.baseline);
        asked.or_else(named).ok_or_else(|| {
            let diagnostic = Diagnostic::error(format!("no entry is named `{}`", self.baseline));
            diagnostic.suggest(&self.baseline, entries.iter().map(|entry| entry.name.as_str())).into()
        })
    }

    fn build(&self, candidate: &Candidate, found: &Found, seed: Option<i64>) -> Result<Built, Failure> {
        let seed = seed.map(|seed| format!("train.seed={seed}"));
        let overrides: Vec<String> = self.budget.overrides().into_iter().chain(seed).collect();
        let mut spec = found.read_with(&candidate.file, &overrides)?;
        if let Some(target) = &candidate.single {
            spec.model = spec.model.single(target);
            // The record of the run says what was trained.
            spec.overrides.push(format!("only {target}"));
        }
        build::of(spec)
    }

    fn cost(&self, built: &Built, engine: &dyn Engine, trial: &Trial) -> Checked<Cost> {
        let (model, plan) = (&built.spec.model, &built.plan);
        let answer = |rows, passes| bench::answer(model, &built.graphs.serve, engine, &trial.weights, (rows, passes));
        let (one, many) = (answer(1, PASSES[0])?, answer(self.batch as usize, PASSES[1])?);
        let sum = |of: fn(&crate::plan::Part) -> usize| plan.parts.iter().map(|part| of(part) as u64).sum::<u64>();
        Ok(Cost {
            trained: sum(|part| part.trained),
            parameters: sum(|part| part.trained + part.frozen),
            train_bytes: plan.memory.train_bytes,
            serve_bytes: one.bytes,
            latency_ms: one.ms,
            batch_ms: many.ms,
        })
    }
}

/// Fails where two models of an entry say the same of one target: these are no parts of one answer.
fn check_answers(entries: &[Entry], built: &[Built]) -> Checked<()> {
    for entry in entries {
        let mut known: Vec<String> = vec![];
        for part in &entry.parts {
            let spec = &built[*part].spec;
            // The names of figures do not depend on what was measured.
            let own = compare::quality(&spec.model, &Evaluation::default());
            if let Some(name) = own.keys().find(|name| known.contains(name)) {
                let message =
                    format!("two models of `{}` have `{name}`, so it is not known which one answers", entry.name);
                let diagnostic = Diagnostic::error(message).place(spec.source.name.clone());
                return Err(diagnostic.help("join with `+` what answers different targets").into());
            }
            known.extend(own.into_keys());
        }
    }
    Ok(())
}

/// What a group of specs is called.
fn named<'a>(group: &'a [PathBuf], name: impl Fn(&'a Path) -> Option<&'a std::ffi::OsStr>) -> String {
    let names = group.iter().map(|file| name(file).unwrap_or(file.as_os_str()).to_string_lossy().into_owned());
    names.collect::<Vec<_>>().join("+")
}

fn one_spec(given: usize) -> Diagnostic {
    Diagnostic::error(format!("`--against-single` is about one spec, and there are {given}"))
        .help("the models of single tasks are made of that spec")
}

/// Seconds of the trainings that a model starts from, where these were trained here; 0 where it starts from none, and `None` where
/// it starts from runs that were there before.
fn pretraining(model: &Model, trained: &HashMap<String, f64>) -> Checked<Option<f64>> {
    let mut names: Vec<&str> = vec![];
    for network in &model.networks {
        match network.weights.as_ref().map(|weights| &weights.from) {
            Some(WeightsFrom::Run { model, .. }) if !names.contains(&model.as_str()) => names.push(model),
            _ => {}
        }
    }
    let known: Vec<f64> = names.iter().filter_map(|name| trained.get(*name).copied()).collect();
    match (names.len(), known.len()) {
        (all, here) if all == here => Ok(Some(known.iter().sum())),
        (_, 0) => Ok(None),
        _ => {
            let missing: Vec<String> =
                names.iter().filter(|name| !trained.contains_key(**name)).map(|name| format!("`{name}`")).collect();
            let message = format!("`{}` starts from several runs, of which only some are trained here", model.name);
            Err(Diagnostic::error(message).help(format!("put the specs of {} before it", missing.join(", "))).into())
        }
    }
}
