//! One training step: forward, backward, the optimizer, and the running statistics.
//!
//! `mtlc run` takes steps over the rows of an epoch, and `mtlc bench` takes the same steps over random rows.

use super::balance::{Balancing, Half, halves};
use super::checkpoint::State;
use super::profile::Profile;
use super::tuned::{Tuned, tuned};
use crate::base::{Diagnostic, Diagnostics, Result};
use crate::data::Batch;
use crate::engine::{Engine, Noise, Session, Weights};
use crate::graph::{Graph, Purpose, Update, ValueId};
use crate::model::{Model, Phase};
use crate::parts::balancers::Sees;
use crate::parts::optimizers::{self, Hyper, Optimizer, clip};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::time::Instant;

/// What to do when training leaves the numbers.
pub const DIVERGED: &str = "a smaller `lr`, a `warmup` of the schedule, or `clip: 1` in `train` often helps";

/// A training graph that is ready for steps, and what is the same in each.
pub struct Step<'a> {
    graph: &'a Graph,
    session: Box<dyn Session + 'a>,
    optimizer: Box<dyn Optimizer>,
    tuned: HashMap<String, Tuned>,
    /// How much of the average a step keeps.
    ema: Option<f64>,
    clip: Option<f64>,
    seed: u64,
    /// The names of the losses, in the order of [`Step::values`] and [`Step::weighed`].
    pub losses: Vec<&'a str>,
    /// [`Graph::step_results`].
    wanted: Vec<ValueId>,
    balancing: Balancing<'a>,
    profile: Option<Profile>,
}

/// What a step saw before it moved the weights.
pub struct Taken {
    pub objective: f64,
    /// Of all gradients together, before clipping.
    pub gradient_norm: f64,
}

impl<'a> Step<'a> {
    /// The step of the first phase.
    pub fn new(model: &'a Model, engine: &dyn Engine, graph: &'a Graph) -> Self {
        Self::in_phase(model, engine, graph, &model.phase(0))
    }

    pub fn in_phase(model: &'a Model, engine: &dyn Engine, graph: &'a Graph, phase: &Phase) -> Self {
        let train = &model.train;
        let losses = graph.outputs.iter().filter(|o| o.purpose == Purpose::Loss);
        Self {
            graph,
            session: engine.session(graph),
            optimizer: optimizers::build(phase.optimizer),
            tuned: tuned(model, graph, phase.hyper()),
            ema: train.get("ema").and_then(|e| e.value.as_float()),
            clip: train.get("clip").and_then(|c| c.value.as_float()),
            seed: train.int("seed") as u64,
            losses: losses.map(|o| o.name.as_str()).collect(),
            wanted: graph.step_results(),
            balancing: Balancing::new(model, graph),
            profile: None,
        }
    }

    /// Begins to measure, on an engine that can.
    pub fn begin_profile(&mut self) {
        self.session.profile();
        self.profile = Some(Profile::default());
    }

    /// What the steps have cost since [`Step::begin_profile`]; its ops are those of the whole time.
    pub fn profile(&mut self) -> Profile {
        let mut profile = self.profile.take().unwrap_or_default();
        profile.add_ops(self.session.profile());
        profile
    }

    /// What the losses were in the last step.
    pub fn values(&self) -> &[f64] {
        &self.balancing.losses
    }

    /// What the gradient of each `w_i L_i` was multiplied by in the last step; nothing for a task without a label in it.
    pub fn weighed(&self) -> &[Option<f64>] {
        &self.balancing.weighed
    }

    /// To be called behind the last step of an epoch.
    pub fn epoch_ends(&self, state: &mut State) {
        self.balancing.epoch_ends(state);
    }

    /// Takes the step, at `factor` times the learning rate of the optimizer. An objective that is no number is an error, and
    /// moves nothing.
    pub fn take(&mut self, state: &mut State, batch: &Batch, factor: f64) -> Result<Taken> {
        let noise = Noise { seed: self.seed, step: state.counters.step };
        self.balancing.begin(state, batch);
        let (objective, half) = match self.balancing.sees {
            Sees::Halves if batch.size > 1 => self.compute_halves(state, batch, noise),
            _ => (self.compute(state, batch, noise), None),
        };
        let losses = self.balancing.losses.iter();
        if !objective.is_finite() || losses.clone().any(|loss| !loss.is_finite()) {
            return Err(self.diverged(state));
        }
        let began = Instant::now();
        if self.balancing.balance(self.session.as_mut(), state, half.as_ref()).is_none() {
            return Err(self.diverged(state));
        }
        let balanced = Instant::now();
        let mut squares = 0.0;
        let Step { tuned, .. } = self;
        self.session.gradients(&mut |path, rows| {
            let Some(gradient) = rows.iter_mut().flatten().next() else { return };
            if let Some(strength) = tuned[path].l2sp {
                pull(strength as f32, path, gradient, state);
            }
            squares += clip::sum_of_squares(gradient);
        });
        let gradient_norm = squares.sqrt();
        let normed = Instant::now();
        let scale = self.clip.map_or(1.0, |most| clip::scale(gradient_norm, most));
        let Step { optimizer, tuned, ema, .. } = self;
        self.session.gradients(&mut |path, rows| {
            let Some(gradient) = rows.iter_mut().flatten().next() else { return };
            if scale != 1.0 {
                gradient.iter_mut().for_each(|g| *g *= scale as f32);
            }
            let Hyper { lr, weight_decay } = tuned[path].hyper;
            if ema.is_some() {
                state.begin_average(path);
            }
            update(optimizer.as_ref(), path, gradient, state, Hyper { lr: lr * factor, weight_decay });
            if let Some(keep) = *ema {
                state.move_average(path, keep as f32);
            }
        });
        let updated = Instant::now();
        self.move_statistics(state, half.as_ref().map_or(batch.size, |_| batch.size - batch.size / 2));
        let moved = Instant::now();
        let after: SmallVec<[f64; 16]> = if self.balancing.looks_back() {
            let results = 1..=self.losses.len();
            self.session.backward(&state.weights, batch, noise, &self.wanted[results.clone()], &[]);
            results.map(|n| f64::from(self.session.result(n - 1)[0])).collect()
        } else {
            SmallVec::new()
        };
        self.balancing.end(state, &after);
        state.counters.step += 1;
        if let Some(profile) = &mut self.profile {
            profile.add_seconds("balancing", (balanced - began).as_secs_f64());
            profile.add_seconds("norm of the gradients", (normed - balanced).as_secs_f64());
            profile.add_seconds("optimizer", (updated - normed).as_secs_f64());
            profile.add_seconds("running statistics", (moved - updated).as_secs_f64());
            profile.add_since("balancing", moved);
        }
        Ok(Taken { objective, gradient_norm })
    }

    /// Computes a batch: the objective, and every loss.
    fn compute(&mut self, state: &State, batch: &Batch, noise: Noise) -> f64 {
        self.balancing.backward(self.session.as_mut(), state, batch, noise, &self.wanted);
        for (n, loss) in self.balancing.losses.iter_mut().enumerate() {
            *loss = f64::from(self.session.result(1 + n)[0]);
        }
        f64::from(self.session.result(0)[0])
    }

    /// Computes a batch in two halves, whose masks differ. Norms see one half at a time, and the statistics of the first move here.
    fn compute_halves(&mut self, state: &mut State, batch: &Batch, noise: Noise) -> (f64, Option<Half>) {
        let parts = halves(batch);
        let mut objective = self.compute(state, &parts[0], noise) * parts[0].size as f64;
        let first = self.balancing.losses.clone();
        let half = Half::of(&self.balancing, self.session.as_mut(), &parts);
        self.move_statistics(state, parts[0].size);
        // No step has this number, so no mask is drawn twice.
        let other = Noise { step: u64::MAX - noise.step, ..noise };
        objective += self.compute(state, &parts[1], other) * parts[1].size as f64;
        for (task, loss) in self.balancing.losses.iter_mut().enumerate() {
            *loss = half.loss(task, first[task], *loss);
        }
        (objective / batch.size as f64, Some(half))
    }

    /// Running statistics follow the moments of the batch that was computed last.
    fn move_statistics(&self, state: &mut State, rows: usize) {
        for (n, update) in self.graph.updates.iter().enumerate() {
            let moment = self.session.result(1 + self.losses.len() + n);
            move_statistic(update, &mut state.weights, moment, rows);
        }
    }

    fn diverged(&self, state: &State) -> Diagnostics {
        let (epoch, step) = (state.counters.epoch + 1, state.counters.step + 1);
        let message = format!("the objective is no number any more, in epoch {epoch} at step {step}");
        let losses = self.losses.iter().zip(self.values());
        let terms: Vec<String> = losses.map(|(name, loss)| format!("{name} = {loss}")).collect();
        Diagnostic::error(message).note(format!("the losses: {}", terms.join(", "))).help(DIVERGED).into()
    }
}

/// Adds the gradient of `strength/2 · ‖w − w⁰‖²`, with `w⁰` where the parameter started.
fn pull(strength: f32, path: &str, gradient: &mut [f32], state: &mut State) {
    // Until its first update a parameter is where it started, however late it is trained.
    let now = &state.weights.get(path).data;
    if !state.start.contains_key(path) {
        state.start.insert(path.into(), now.clone());
    }
    for ((g, w), start) in gradient.iter_mut().zip(now).zip(&state.start[path]) {
        *g += strength * (w - start);
    }
}

/// Moves one parameter.
fn update(optimizer: &dyn Optimizer, path: &str, gradient: &[f32], state: &mut State, hyper: Hyper) {
    let parameter = &mut state.weights.get_mut(path).data;
    if !state.slots.contains_key(path) {
        let fresh = optimizer.slots().iter().map(|_| vec![0.0; parameter.len()]).collect();
        state.slots.insert(path.into(), fresh);
    }
    if !state.counters.updates.contains_key(path) {
        state.counters.updates.insert(path.into(), 0);
    }
    let (slots, updates) = (&mut state.slots[path], &mut state.counters.updates[path]);
    *updates += 1;
    optimizer.update(*updates, hyper, parameter, gradient, slots);
}

/// A running statistic follows the moment of the batch.
fn move_statistic(update: &Update, weights: &mut Weights, moment: &[f32], batch: usize) {
    let n = update.bessel.map_or(0.0, |per_example| (per_example * batch) as f64);
    let correction = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
    let (keep, take) = ((1.0 - update.momentum) as f32, (update.momentum * correction) as f32);
    for (running, new) in weights.get_mut(&update.parameter).data.iter_mut().zip(moment) {
        *running = *running * keep + new * take;
    }
}
