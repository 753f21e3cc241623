//! The training loop.

use super::checkpoint::State;
use super::evaluate::{Evaluation, Mean, evaluate, labelled};
use super::history::{EpochRecord, History, TrainRecord};
use super::run::Run;
use super::sources::{RowId, Sources};
use crate::base::{Diagnostic, Result};
use crate::data::Split;
use crate::engine::{Engine, Noise, Weights};
use crate::graph::{Graph, Mode, Purpose, ValueId};
use crate::lower::lower;
use crate::model::{LearningRate, Model};
use crate::parts::optimizers::{self, Hyper, Optimizer, clip};
use crate::parts::schedules::{self, Progress};
use crate::passes;
use rand::seq::SliceRandom;
use std::time::Instant;

/// Whoever wants to see progress.
pub trait Watch {
    fn epoch_begins(&mut self, _epoch: u64, _epochs: u64, _steps: usize) {}
    fn step(&mut self, _objective: f64) {}
    fn epoch_ends(&mut self, _record: &EpochRecord, _is_best: bool) {}
    fn note(&mut self, _text: &str) {}
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
}

pub struct Outcome {
    pub state: State,
    pub history: History,
    /// Whether training came to its end, by the epochs or by patience.
    pub finished: bool,
    /// SHA-256 of what a `freeze` holds throughout: the same before and after, or the run would have failed.
    pub frozen: Option<Frozen>,
}

/// What was frozen from the first epoch to the last.
pub struct Frozen {
    pub tensors: usize,
    pub hash: String,
}

pub fn fit(fit: Fit, watch: &mut dyn Watch) -> Result<Outcome> {
    let Fit { model, engine, sources, run, mut state, mut history, stop_after } = fit;
    let rows = sources.rows(Split::Train);
    if rows.is_empty() {
        return Err(Diagnostic::error("there are no training rows")
            .help("let `split` begin with a share above 0")
            .into());
    }
    let epochs = model.train.size("epochs") as u64;
    let patience = model.train.get("patience").and_then(|p| p.value.as_int());
    let eval = passes::optimise(lower(model, Mode::Eval, 0)?).0;
    let optimizer = optimizers::build(model.train.part("optimizer"));
    let proof = frozen(model, &state.weights)?;
    let waited = |state: &State| state.counters.epoch.saturating_sub(state.counters.best_epoch);
    // Asked before each epoch, not after it, so that a run resumed in between does not train on.
    let exhausted = |state: &State| patience.is_some_and(|most| waited(state) >= most as u64);
    while state.counters.epoch < epochs && !exhausted(&state) {
        if stop_after.is_some_and(|last| state.counters.epoch >= last) {
            return Ok(Outcome { state, history, finished: false, frozen: proof });
        }
        let began = Instant::now();
        let graph = passes::optimise(lower(model, Mode::Train, state.counters.epoch)?).0;
        let held = state.weights.hash(|path| is_held(&graph, path));
        let mut epoch = Epoch { model, engine, sources, graph: &graph, optimizer: optimizer.as_ref(), epochs };
        let (train, lr) = epoch.run(&rows, &mut state, watch)?;
        let after = state.weights.hash(|path| is_held(&graph, path));
        assert_eq!(held, after, "bug: a frozen parameter moved in epoch {}", state.counters.epoch + 1);
        state.counters.epoch += 1;
        let validation = (!sources.rows(Split::Validation).is_empty())
            .then(|| evaluate(model, &eval, engine, &state.weights, sources, Split::Validation))
            .transpose()?;
        let record = EpochRecord {
            epoch: state.counters.epoch,
            step: state.counters.step,
            lr,
            train,
            validation,
            seconds: began.elapsed().as_secs_f64(),
        };
        let objective = record.objective();
        let finite = |array: &crate::engine::weights::Array| array.data.iter().all(|x| x.is_finite());
        if !objective.is_finite() || !state.weights.0.values().all(finite) {
            let message = format!("the parameters are no numbers any more, after epoch {}", record.epoch);
            return Err(diverged(message, record.epoch - 1).into());
        }
        let is_best = state.counters.best().is_none_or(|best| objective < best);
        if is_best {
            state.counters.best = Some(objective.to_bits());
            state.counters.best_epoch = record.epoch;
            state.weights.write(&run.path("weights.safetensors"), Default::default())?;
        }
        history.0.push(record);
        history.write(&run.path("metrics.jsonl"))?;
        state.write(&run.path("last.safetensors"), optimizer.slots())?;
        watch.epoch_ends(history.0.last().expect("just pushed"), is_best);
    }
    if state.counters.epoch < epochs {
        watch.note(&format!("no better objective for {} epochs: stopped early", waited(&state)));
    }
    if let Some(proof) = &proof {
        let after = frozen(model, &state.weights)?.expect("the same parameters are frozen");
        assert_eq!(proof.hash, after.hash, "bug: a frozen parameter moved");
    }
    Ok(Outcome { state, history, finished: true, frozen: proof })
}

fn is_held(graph: &Graph, path: &str) -> bool {
    graph.parameters.get(path).is_some_and(|p| p.role.is_frozen())
}

/// What is still frozen in the last epoch was frozen in every one, since freezes only end.
fn frozen(model: &Model, weights: &Weights) -> Result<Option<Frozen>> {
    let graph = lower(model, Mode::Train, u64::MAX)?;
    let tensors = graph.parameters.keys().filter(|path| is_held(&graph, path)).count();
    Ok((tensors > 0).then(|| Frozen { tensors, hash: weights.hash(|path| is_held(&graph, path)) }))
}

/// What stays the same during an epoch.
struct Epoch<'a> {
    model: &'a Model,
    engine: &'a dyn Engine,
    sources: &'a Sources<'a>,
    graph: &'a Graph,
    optimizer: &'a dyn Optimizer,
    epochs: u64,
}

impl Epoch<'_> {
    /// Runs every step of the epoch; gives the means of the losses, and the last learning rate.
    fn run(&mut self, rows: &[RowId], state: &mut State, watch: &mut dyn Watch) -> Result<(TrainRecord, f64)> {
        let train = &self.model.train;
        let (seed, batch_size) = (train.int("seed") as u64, train.size("batch"));
        let schedule = schedules::build(train.part("schedule"));
        let base = optimizers::hyper(train.part("optimizer"));
        let clip_at = train.get("clip").and_then(|c| c.value.as_float());
        let mut order = rows.to_vec();
        order.shuffle(&mut crate::engine::generator(seed, "shuffle", "", state.counters.epoch));
        let steps = order.len().div_ceil(batch_size);
        watch.epoch_begins(state.counters.epoch + 1, self.epochs, steps);
        let losses: Vec<(&str, ValueId)> = self
            .graph
            .outputs
            .iter()
            .filter(|o| o.purpose == Purpose::Loss)
            .map(|o| (o.name.as_str(), o.value))
            .collect();
        let wanted = self.graph.step_results();
        let mut means: Vec<Mean> = losses.iter().map(|_| Mean::default()).collect();
        let (mut objective, mut norms) = (Mean::default(), Mean::default());
        let mut lr = base.lr;
        let mut session = self.engine.session(self.graph);
        for (i, chunk) in order.chunks(batch_size).enumerate() {
            let (batch, _) = self.sources.batch(chunk)?;
            let noise = Noise { seed, step: state.counters.step };
            let values = session.backward(&state.weights, &batch, noise, &wanted);
            let total = f64::from(values[0][0]);
            if !total.is_finite() {
                return Err(self.diverged(state, &losses, &values));
            }
            objective.add(total, batch.size as f64);
            for ((mean, (name, _)), value) in means.iter_mut().zip(&losses).zip(&values[1..]) {
                mean.add(f64::from(value[0]), labelled(self.model, name, &batch));
            }
            let (paths, mut gradients): (Vec<&str>, Vec<&mut [f32]>) = session.gradients().into_iter().unzip();
            norms.add(
                match clip_at {
                    Some(most) => clip::clip_norm(&mut gradients, most),
                    None => clip::norm(gradients.iter().map(|g| &**g)),
                },
                1.0,
            );
            let progress = state.counters.epoch as f64 + (i + 1) as f64 / steps as f64;
            let factor = schedule.factor(Progress { epoch: progress, epochs: self.epochs as f64 });
            lr = base.lr * factor;
            for (path, gradient) in paths.into_iter().zip(&gradients) {
                self.update(path, gradient, state, base, factor);
            }
            let moments = &values[1 + losses.len()..];
            self.move_statistics(&mut state.weights, moments, batch.size);
            state.counters.step += 1;
            watch.step(total);
        }
        let record = TrainRecord {
            objective: objective.value().unwrap_or(f64::NAN),
            losses: losses.iter().zip(&means).map(|((name, _), mean)| (name.to_string(), mean.value())).collect(),
            gradient_norm: norms.value().unwrap_or(0.0),
        };
        Ok((record, lr))
    }

    /// Moves one parameter, at the rate and decay that `tune` gives it.
    fn update(&self, path: &str, gradient: &[f32], state: &mut State, base: Hyper, factor: f64) {
        let (lr, weight_decay) = self.tuned(path, base);
        let hyper = Hyper { lr: lr * factor, weight_decay };
        let parameter = &mut state.weights.get_mut(path).data;
        let length = parameter.len();
        let fresh = || self.optimizer.slots().iter().map(|_| vec![0.0; length]).collect();
        let slots = state.slots.entry(path.into()).or_insert_with(fresh);
        let updates = state.counters.updates.entry(path.into()).or_insert(0);
        *updates += 1;
        self.optimizer.update(*updates, hyper, parameter, gradient, slots);
    }

    /// Learning rate and weight decay of a parameter; the last `tune` that means it decides.
    fn tuned(&self, path: &str, base: Hyper) -> (f64, f64) {
        let kind = &self.graph.parameters[path].kind;
        let Hyper { mut lr, mut weight_decay } = base;
        for tune in self.model.tunes.iter().filter(|t| t.selection.contains(path, kind)) {
            match tune.lr {
                Some(LearningRate::Times(x)) => lr = base.lr * x,
                Some(LearningRate::Absolute(x)) => lr = x,
                None => {}
            }
            weight_decay = tune.weight_decay.unwrap_or(weight_decay);
        }
        (lr, weight_decay)
    }

    /// Running statistics follow the moments of the batch.
    fn move_statistics(&self, weights: &mut Weights, moments: &[Vec<f32>], batch: usize) {
        for (update, moment) in self.graph.updates.iter().zip(moments) {
            let n = update.bessel.map_or(0.0, |per_example| (per_example * batch) as f64);
            let correction = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
            let (keep, take) = ((1.0 - update.momentum) as f32, (update.momentum * correction) as f32);
            for (running, new) in weights.get_mut(&update.parameter).data.iter_mut().zip(moment) {
                *running = *running * keep + new * take;
            }
        }
    }

    fn diverged(&self, state: &State, losses: &[(&str, ValueId)], values: &[Vec<f32>]) -> crate::base::Diagnostics {
        let (epoch, step) = (state.counters.epoch + 1, state.counters.step + 1);
        let message = format!("the objective is no number any more, in epoch {epoch} at step {step}");
        let terms = losses.iter().zip(&values[1..]).map(|((name, _), value)| format!("{name} = {}", value[0]));
        let losses = format!("the losses: {}", terms.collect::<Vec<_>>().join(", "));
        diverged(message, state.counters.epoch).note(losses).into()
    }
}

/// What to say when training left the numbers, `whole` epochs after its beginning.
fn diverged(message: String, whole: u64) -> Diagnostic {
    let kept = match whole {
        0 => "no epoch was finished, so there is no checkpoint".into(),
        n => format!("the checkpoint of epoch {n} is kept"),
    };
    let help = "a smaller `lr`, a `warmup` of the schedule, or `clip: 1` in `train` often helps";
    Diagnostic::error(message).note(kept).help(help)
}

/// Evaluates weights on every split that has rows, the most telling first.
pub fn final_evaluations(
    model: &Model,
    engine: &dyn Engine,
    weights: &Weights,
    sources: &Sources,
) -> Result<Vec<(String, Evaluation)>> {
    let eval = passes::optimise(lower(model, Mode::Eval, 0)?).0;
    let splits = [Split::Test, Split::Validation, Split::Train];
    let filled = splits.into_iter().filter(|s| !sources.rows(*s).is_empty());
    filled.map(|s| Ok((s.to_string(), evaluate(model, &eval, engine, weights, sources, s)?))).collect()
}
