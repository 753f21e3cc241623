//! The training loop.

use super::checkpoint::State;
use super::evaluate::{Evaluation, Mean, evaluate_with, labelled};
use super::features::{Cache, FeatureRecord, Features, Loader};
use super::history::{EpochRecord, History, TrainRecord};
use super::profile::Profile;
use super::run::Run;
use super::sampling::{self, Sampler};
use super::sources::Sources;
use super::step::{self, Step};
use crate::base::{Diagnostic, Result};
use crate::data::{Moment, Split};
use crate::engine::{Engine, Weights};
use crate::graph::{Graph, Mode};
use crate::lower::lower;
use crate::model::Model;
use crate::parts::optimizers;
use crate::parts::schedules::{self, Progress};
use crate::passes;
use indexmap::IndexMap;
use std::path::Path;
use std::time::Instant;

/// Whoever wants to see progress.
pub trait Watch {
    fn epoch_begins(&mut self, _epoch: u64, _epochs: u64, _steps: usize) {}
    fn step(&mut self, _objective: f64) {}
    /// Whether there is no time for another epoch. Asked before each but the first; training then stops as if interrupted.
    fn is_over(&mut self) -> bool {
        false
    }
    fn epoch_ends(&mut self, _record: &EpochRecord, _is_best: bool) {}
    fn note(&mut self, _text: &str) {}
    /// Features of so many rows are about to be computed.
    fn features_begin(&mut self, _of: &str, _rows: usize) {}
    fn features(&mut self, _rows: usize) {}
    fn features_end(&mut self) {}
}

/// What to train, with what, and where to keep it.
pub struct Fit<'a> {
    pub model: &'a Model,
    pub engine: &'a dyn Engine,
    pub sources: &'a Sources<'a>,
    pub run: &'a Run,
    pub state: State,
    pub history: History,
    /// Stop after this epoch, as if interrupted there.
    pub stop_after: Option<u64>,
    /// Whether to measure what each op costs, on an engine that can.
    pub profile: bool,
    /// Where features are cached; without it none are.
    pub features: Option<&'a Path>,
}

pub struct Outcome {
    pub state: State,
    pub history: History,
    /// Whether training came to its end, by the epochs or by patience.
    pub finished: bool,
    /// SHA-256 of what a `freeze` holds throughout: the same before and after, or the run would have failed.
    pub frozen: Option<Frozen>,
    /// What was measured, where it was asked for.
    pub profile: Option<Profile>,
    /// What the last epoch read of its rows, where it was cached, and what was cached in all.
    pub features: Option<Features>,
    pub cached: Vec<FeatureRecord>,
}

/// What was frozen from the first epoch to the last.
pub struct Frozen {
    pub tensors: usize,
    pub hash: String,
}

pub fn fit(fit: Fit, watch: &mut dyn Watch) -> Result<Outcome> {
    let Fit { model, engine, sources, run, mut state, mut history, stop_after, profile, features } = fit;
    let mut cache = Cache::new(model, engine, sources, features);
    cache.failed = state.counters.uncached;
    let (start, mut profile) = (Instant::now(), profile.then(Profile::default));
    let sampler = Sampler::new(model, sources)?;
    let epochs = model.train.size("epochs") as u64;
    let patience = model.train.get("patience").and_then(|p| p.value.as_int());
    let eval = passes::optimise(lower(model, Mode::Eval, 0)?).0;
    let proof = frozen(model, &state.weights)?;
    let waited = |state: &State| state.counters.epoch.saturating_sub(state.counters.best_epoch);
    // Asked before each epoch, not after it, so that a run resumed in between does not train on.
    let exhausted = |state: &State| patience.is_some_and(|most| waited(state) >= most as u64);
    while state.counters.epoch < epochs && !exhausted(&state) {
        let is_over = state.counters.epoch > 0 && watch.is_over();
        if is_over || stop_after.is_some_and(|last| state.counters.epoch >= last) {
            let profile = profile.map(|p| Profile { seconds: start.elapsed().as_secs_f64(), ..p });
            let (features, cached) = cache.finish();
            return Ok(Outcome { state, history, finished: false, frozen: proof, profile, features, cached });
        }
        let prepared = Instant::now();
        let whole = lower(model, Mode::Train, state.counters.epoch)?;
        let features = cache.at(state.counters.epoch, &whole, &state.weights, watch)?;
        if let Some(profile) = &mut profile {
            profile.add_since("features", prepared);
        }
        let began = Instant::now();
        let phase = model.phase(state.counters.epoch);
        if let (Some(name), true) = (phase.name, state.counters.epoch == phase.start) {
            watch.note(&format!("{name}: epochs {} to {}", phase.start + 1, phase.start + phase.epochs));
        }
        let loader = Loader { sources, features };
        let graph = match features {
            Some(features) => features.cut.train.clone(),
            None => passes::optimise(whole.clone()).0,
        };
        let held = state.weights.hash(|path| is_held(&whole, path));
        let (train, lr) = epoch((model, engine, loader), &graph, &sampler, &mut state, watch, profile.as_mut())?;
        let after = state.weights.hash(|path| is_held(&whole, path));
        assert_eq!(held, after, "bug: a frozen parameter moved in epoch {}", state.counters.epoch + 1);
        state.counters.epoch += 1;
        let next = model.phase(state.counters.epoch);
        if next.start == state.counters.epoch && state.counters.epoch < epochs {
            // Each phase has an optimizer of its own, which has seen no gradient yet.
            state.forget_optimizer();
        }
        let trained = Instant::now();
        let validation = (!sources.rows(Split::Validation).is_empty())
            .then(|| evaluate_with(model, &eval, engine, &state.answers(), loader, Split::Validation))
            .transpose()?;
        let validated = Instant::now();
        state.counters.uncached = cache.failed;
        let record = EpochRecord {
            epoch: state.counters.epoch,
            step: state.counters.step,
            lr,
            train,
            validation,
            seconds: began.elapsed().as_secs_f64(),
        };
        let objective = record.objective();
        let finite = |array: &crate::weights::Array| array.data.iter().all(|x| x.is_finite());
        if !objective.is_finite() || !state.weights.iter().all(|(_, array)| finite(array)) {
            let message = format!("the parameters are no numbers any more, after epoch {}", record.epoch);
            return Err(Diagnostic::error(message).note(kept(record.epoch - 1)).help(step::DIVERGED).into());
        }
        let is_best = state.counters.best().is_none_or(|best| objective < best);
        if is_best {
            state.counters.best = Some(objective.to_bits());
            state.counters.best_epoch = record.epoch;
            state.answers().write(&run.path("weights.safetensors"), Default::default())?;
        }
        history.0.push(record);
        history.write(&run.path("metrics.jsonl"))?;
        state.write(&run.path("last.safetensors"), optimizers::build(next.optimizer).slots())?;
        if let Some(profile) = &mut profile {
            profile.add_seconds("evaluation", (validated - trained).as_secs_f64());
            profile.add_since("checkpoints", validated);
        }
        watch.epoch_ends(history.0.last().expect("just pushed"), is_best);
    }
    if state.counters.epoch < epochs {
        watch.note(&format!("no better objective for {} epochs: stopped early", waited(&state)));
    }
    if let Some(proof) = &proof {
        let after = frozen(model, &state.weights)?.expect("the same parameters are frozen");
        assert_eq!(proof.hash, after.hash, "bug: a frozen parameter moved");
    }
    // A run that was stopped behind its last epoch evaluates from what that epoch read, as one that was not.
    if let (true, Some(last)) = (cache.is_fresh(), state.counters.epoch.checked_sub(1)) {
        cache.at(last, &lower(model, Mode::Train, last)?, &state.weights, watch)?;
    }
    let profile = profile.map(|p| Profile { seconds: start.elapsed().as_secs_f64(), ..p });
    let (features, cached) = cache.finish();
    Ok(Outcome { state, history, finished: true, frozen: proof, profile, features, cached })
}

fn is_held(graph: &Graph, path: &str) -> bool {
    graph.parameters.get(path).is_some_and(|p| p.role.is_frozen())
}

/// What is frozen in every graph that the run trains.
fn frozen(model: &Model, weights: &Weights) -> Result<Option<Frozen>> {
    let graphs = model.turns().into_iter().map(|epoch| lower(model, Mode::Train, epoch)).collect::<Result<Vec<_>>>()?;
    let held = |path: &str| graphs.iter().all(|graph| is_held(graph, path));
    let tensors = weights.iter().filter(|(path, _)| held(path)).count();
    Ok((tensors > 0).then(|| Frozen { tensors, hash: weights.hash(held) }))
}

/// One epoch of steps over the rows that the sampler chooses: the means of the losses, and the last learning rate.
fn epoch(
    fit: (&Model, &dyn Engine, Loader),
    graph: &Graph,
    sampler: &Sampler,
    state: &mut State,
    watch: &mut dyn Watch,
    mut profile: Option<&mut Profile>,
) -> Result<(TrainRecord, f64)> {
    let (model, engine, loader) = fit;
    let train = &model.train;
    let (seed, batch_size) = (train.int("seed") as u64, train.size("batch"));
    let phase = model.phase(state.counters.epoch);
    let schedule = schedules::build(phase.schedule);
    let base = phase.hyper();
    let order = sampler.order(state.counters.epoch);
    let steps = order.len().div_ceil(batch_size);
    watch.epoch_begins(state.counters.epoch + 1, train.size("epochs") as u64, steps);
    let mut step = Step::in_phase(model, engine, graph, &phase);
    if profile.is_some() {
        step.begin_profile();
    }
    let mut means: Vec<Mean> = step.losses.iter().map(|_| Mean::default()).collect();
    let mut labels: Vec<u64> = vec![0; step.losses.len()];
    let mut weights: Vec<Mean> = step.losses.iter().map(|_| Mean::default()).collect();
    let (mut objective, mut norms) = (Mean::default(), Mean::default());
    let mut lr = base.lr;
    for (i, chunk) in order.chunks(batch_size).enumerate() {
        let began = Instant::now();
        let moment = Moment { seed, epoch: state.counters.epoch };
        let (batch, _) = loader.batch(graph, chunk, Some(moment))?;
        if let Some(profile) = &mut profile {
            profile.add_since("loading rows", began);
        }
        let progress = (state.counters.epoch - phase.start) as f64 + (i + 1) as f64 / steps as f64;
        let factor = schedule.factor(Progress { epoch: progress, epochs: phase.epochs as f64 });
        lr = base.lr * factor;
        let taken = step.take(state, &batch, factor).map_err(|mut wrong| {
            wrong.0.iter_mut().for_each(|d| d.notes.insert(0, kept(state.counters.epoch)));
            wrong
        })?;
        objective.add(taken.objective, batch.size as f64);
        for (i, (name, loss)) in step.losses.iter().zip(step.values()).enumerate() {
            let rows = labelled(model, name, &batch);
            means[i].add(*loss, rows);
            labels[i] += rows as u64;
        }
        for (mean, weight) in weights.iter_mut().zip(step.weighed()) {
            mean.add(weight.unwrap_or_default(), f64::from(u8::from(weight.is_some())));
        }
        norms.add(taken.gradient_norm, 1.0);
        watch.step(taken.objective);
    }
    step.epoch_ends(state);
    if let Some(profile) = profile {
        profile.add(step.profile());
    }
    let balanced = model.balance.signature.name != "uniform";
    let weights = step.losses.iter().zip(&weights).filter(|_| balanced);
    let record = TrainRecord {
        weights: weights.map(|(name, mean)| (name.to_string(), mean.value())).collect(),
        objective: objective.value().unwrap_or(f64::NAN),
        losses: step.losses.iter().zip(&means).map(|(name, mean)| (name.to_string(), mean.value())).collect(),
        gradient_norm: norms.value().unwrap_or(0.0),
        labels: step.losses.iter().map(|name| name.to_string()).zip(labels).collect(),
        rows: if model.data.len() > 1 { sampling::counts(model, &order) } else { IndexMap::new() },
    };
    Ok((record, lr))
}

/// Which checkpoint is there when training fails, `whole` epochs after its beginning.
fn kept(whole: u64) -> String {
    match whole {
        0 => "no epoch was finished, so there is no checkpoint".into(),
        n => format!("the checkpoint of epoch {n} is kept"),
    }
}

/// Evaluates weights by an evaluation graph on every split that has rows, the most telling first.
pub fn final_evaluations(
    model: &Model,
    graph: &Graph,
    engine: &dyn Engine,
    weights: &Weights,
    loader: Loader,
) -> Result<Vec<(String, Evaluation)>> {
    let splits = [Split::Test, Split::Validation, Split::Train];
    let filled = splits.into_iter().filter(|s| !loader.sources.rows(*s).is_empty());
    filled.map(|s| Ok((s.to_string(), evaluate_with(model, graph, engine, weights, loader, s)?))).collect()
}
