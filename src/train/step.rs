//! One training step: forward, backward, the optimizer, and the running statistics.
//!
//! `mtlc run` takes steps over the rows of an epoch, and `mtlc bench` takes the same steps over random rows.

use super::checkpoint::State;
use crate::base::{Diagnostic, Diagnostics, Result};
use crate::data::Batch;
use crate::engine::{Engine, Noise, Session, Weights};
use crate::graph::{Graph, Purpose, ValueId};
use crate::model::{LearningRate, Model};
use crate::parts::optimizers::{self, Hyper, Optimizer, clip};

/// What to do when training leaves the numbers.
pub const DIVERGED: &str = "a smaller `lr`, a `warmup` of the schedule, or `clip: 1` in `train` often helps";

/// A training graph that is ready for steps, and what is the same in each.
pub struct Step<'a> {
    model: &'a Model,
    graph: &'a Graph,
    session: Box<dyn Session + 'a>,
    optimizer: Box<dyn Optimizer>,
    base: Hyper,
    clip: Option<f64>,
    seed: u64,
    /// The names of the losses, in the order of [`Taken::losses`].
    pub losses: Vec<&'a str>,
    /// [`Graph::step_results`].
    wanted: Vec<ValueId>,
}

/// What a step saw before it moved the weights.
pub struct Taken {
    pub objective: f64,
    pub losses: Vec<f64>,
    /// Of all gradients together, before clipping.
    pub gradient_norm: f64,
}

impl<'a> Step<'a> {
    pub fn new(model: &'a Model, engine: &dyn Engine, graph: &'a Graph) -> Self {
        let train = &model.train;
        let losses = graph.outputs.iter().filter(|o| o.purpose == Purpose::Loss);
        Self {
            model,
            graph,
            session: engine.session(graph),
            optimizer: optimizers::build(train.part("optimizer")),
            base: optimizers::hyper(train.part("optimizer")),
            clip: train.get("clip").and_then(|c| c.value.as_float()),
            seed: train.int("seed") as u64,
            losses: losses.map(|o| o.name.as_str()).collect(),
            wanted: graph.step_results(),
        }
    }

    /// Takes the step, at `factor` times the learning rate of the optimizer. An objective that is no number is an error, and
    /// moves nothing.
    pub fn take(&mut self, state: &mut State, batch: &Batch, factor: f64) -> Result<Taken> {
        let noise = Noise { seed: self.seed, step: state.counters.step };
        let values = self.session.backward(&state.weights, batch, noise, &self.wanted);
        let objective = f64::from(values[0][0]);
        let (losses, moments) = values[1..].split_at(self.losses.len());
        let losses: Vec<f64> = losses.iter().map(|loss| f64::from(loss[0])).collect();
        if !objective.is_finite() {
            return Err(self.diverged(state, &losses));
        }
        let (paths, mut gradients): (Vec<&str>, Vec<&mut [f32]>) = self.session.gradients().into_iter().unzip();
        let gradient_norm = match self.clip {
            Some(most) => clip::clip_norm(&mut gradients, most),
            None => clip::norm(gradients.iter().map(|g| &**g)),
        };
        for (path, gradient) in paths.into_iter().zip(&gradients) {
            let Hyper { lr, weight_decay } = tuned(self.model, self.graph, path, self.base);
            update(self.optimizer.as_ref(), path, gradient, state, Hyper { lr: lr * factor, weight_decay });
        }
        move_statistics(self.graph, &mut state.weights, moments, batch.size);
        state.counters.step += 1;
        Ok(Taken { objective, losses, gradient_norm })
    }

    fn diverged(&self, state: &State, losses: &[f64]) -> Diagnostics {
        let (epoch, step) = (state.counters.epoch + 1, state.counters.step + 1);
        let message = format!("the objective is no number any more, in epoch {epoch} at step {step}");
        let terms: Vec<String> =
            self.losses.iter().zip(losses).map(|(name, loss)| format!("{name} = {loss}")).collect();
        Diagnostic::error(message).note(format!("the losses: {}", terms.join(", "))).help(DIVERGED).into()
    }
}

/// Moves one parameter.
fn update(optimizer: &dyn Optimizer, path: &str, gradient: &[f32], state: &mut State, hyper: Hyper) {
    let parameter = &mut state.weights.get_mut(path).data;
    let length = parameter.len();
    let fresh = || optimizer.slots().iter().map(|_| vec![0.0; length]).collect();
    let slots = state.slots.entry(path.into()).or_insert_with(fresh);
    let updates = state.counters.updates.entry(path.into()).or_insert(0);
    *updates += 1;
    optimizer.update(*updates, hyper, parameter, gradient, slots);
}

/// Learning rate and weight decay of a parameter; the last `tune` that means it decides.
fn tuned(model: &Model, graph: &Graph, path: &str, base: Hyper) -> Hyper {
    let kind = &graph.parameters[path].kind;
    let Hyper { mut lr, mut weight_decay } = base;
    for tune in model.tunes.iter().filter(|t| t.selection.contains(path, kind)) {
        match tune.lr {
            Some(LearningRate::Times(x)) => lr = base.lr * x,
            Some(LearningRate::Absolute(x)) => lr = x,
            None => {}
        }
        weight_decay = tune.weight_decay.unwrap_or(weight_decay);
    }
    Hyper { lr, weight_decay }
}

/// Running statistics follow the moments of the batch.
fn move_statistics(graph: &Graph, weights: &mut Weights, moments: &[Vec<f32>], batch: usize) {
    for (update, moment) in graph.updates.iter().zip(moments) {
        let n = update.bessel.map_or(0.0, |per_example| (per_example * batch) as f64);
        let correction = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
        let (keep, take) = ((1.0 - update.momentum) as f32, (update.momentum * correction) as f32);
        for (running, new) in weights.get_mut(&update.parameter).data.iter_mut().zip(moment) {
            *running = *running * keep + new * take;
        }
    }
}
