//! A step as its balancer wants it: which tasks take part, the backward passes, and one gradient for each parameter.
//!
//! In comes a session of a training graph, a batch and the state of the run. Out comes the session, with the gradient of the step in
//! the first row of each parameter, and what each task weighed. A parameter is *shared* when at least two losses reach it; what one
//! loss alone reaches keeps the gradient of that loss times its factor, whatever the balancer says.

use super::checkpoint::State;
use crate::data::{Array, Batch};
use crate::engine::{Noise, Session, generator};
use crate::graph::{Graph, Mode, ValueId};
use crate::kernels::cpu::gradients::{Room, combine, products};
use crate::model::Model;
use crate::ops::balance::Formula;
use crate::parts::balancers::{self, Balancer, Gram, Sees, Turn};
use rand_chacha::ChaCha8Rng;
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};

/// Tasks for which a list needs no memory.
const FEW: usize = 16;

pub struct Balancing<'a> {
    model: &'a Model,
    balancer: &'static dyn Balancer,
    pub sees: Sees,
    formula: Option<Formula>,
    /// The path of the numbers that the objective reads.
    numbers: Option<String>,
    /// Of every task, in the order of the losses.
    weights: Vec<f64>,
    targets: Vec<&'a str>,
    shared: HashSet<&'a str>,
    /// The parameters of the last layer that is shared.
    last: HashSet<&'a str>,
    descended: Vec<ValueId>,
    seed: u64,
    /// What the step at hand knows: which tasks are present, every loss, what each loss's gradient is multiplied by, on shared
    /// parameters and on others, and what each task weighed beside the weight of the spec.
    tasks: Vec<usize>,
    present: Vec<bool>,
    pub losses: Vec<f64>,
    factors: Vec<f64>,
    own: Vec<f64>,
    pub weighed: Vec<Option<f64>>,
    room: Room,
    sums: Vec<f64>,
}

/// The gradients of the first half of a batch, by path.
type Held = HashMap<String, Vec<Option<Vec<f32>>>>;

impl<'a> Balancing<'a> {
    pub fn new(model: &'a Model, graph: &'a Graph) -> Self {
        let args = &model.balance.args;
        let balancer = balancers::find(model.balance.signature.name).expect("bound to a balancer");
        let descended = graph.descended();
        let reach = if graph.by_task { graph.reach(&descended) } else { Default::default() };
        let shared: Vec<&str> = reach.iter().filter(|(_, tasks)| **tasks > 1).map(|(path, _)| *path).collect();
        let layer = shared.last().map(|path| &graph.parameters[*path].layer);
        let last = shared.iter().copied().filter(|path| Some(&graph.parameters[*path].layer) == layer).collect();
        let tasks = model.terms.len();
        Self {
            model,
            balancer,
            sees: balancer.sees(args),
            formula: balancer.formula(args, tasks, Mode::Train),
            numbers: balancer.numbers().map(|(name, _)| balancers::path(name)),
            weights: model.terms.iter().map(|t| t.weight).collect(),
            targets: model.terms.iter().map(|t| t.target.as_str()).collect(),
            last,
            shared: shared.into_iter().collect(),
            descended,
            seed: model.train.int("seed") as u64,
            tasks: vec![],
            present: vec![false; tasks],
            losses: vec![],
            factors: vec![0.0; tasks],
            own: vec![0.0; tasks],
            weighed: vec![None; tasks],
            room: Room::default(),
            sums: vec![],
        }
    }

    /// The turn of the balancer in the step at hand.
    fn turn<R>(&self, state: &mut State, act: impl FnOnce(&dyn Balancer, &mut Turn) -> R) -> R {
        let (seed, step) = (self.seed, state.counters.step);
        let random = move |purpose: &str| -> ChaCha8Rng { generator(seed, "balance", purpose, step) };
        let numbers = match &self.numbers {
            Some(path) => &mut state.weights.get_mut(path).data[..],
            None => &mut [],
        };
        let mut turn = Turn {
            args: &self.model.balance.args,
            own: &mut state.balance,
            numbers,
            tasks: &self.tasks,
            losses: &self.losses,
            weights: &self.weights,
            random: &random,
        };
        act(self.balancer, &mut turn)
    }

    /// Labels of a task in a batch.
    fn labels(&self, batch: &Batch, task: usize) -> usize {
        batch.present.get(self.targets[task]).map_or(0, |p| p.iter().filter(|p| **p != 0.0).count())
    }

    /// Before the losses are computed.
    pub fn begin(&mut self, state: &mut State, batch: &Batch) {
        for task in 0..self.weights.len() {
            self.present[task] = self.labels(batch, task) > 0;
        }
        self.tasks.clear();
        self.tasks.extend((0..self.weights.len()).filter(|&task| self.present[task]));
        self.losses.clear();
        self.losses.resize(self.weights.len(), 0.0);
        self.turn(state, |balancer, turn| balancer.begin(turn));
    }

    /// Computes `wanted` and the gradients of what is descended.
    pub fn backward(&self, session: &mut dyn Session, state: &State, batch: &Batch, noise: Noise, wanted: &[ValueId]) {
        session.backward(&state.weights, batch, noise, wanted, &self.descended);
    }

    /// Brings the gradients of a step whose losses are known to one for each parameter, the first that is there. Without an answer
    /// gradients are no numbers any more.
    pub fn balance(&mut self, session: &mut dyn Session, state: &mut State, held: Option<&Half>) -> Option<()> {
        if self.sees == Sees::Losses {
            return self.scale(session, state);
        }
        self.own = self
            .turn(state, |balancer, turn| (0..turn.weights.len()).map(|task| balancer.factor(turn, task)).collect());
        let gram = self.gram(session, state, held)?;
        let weighed = if self.shared.is_empty() || self.tasks.is_empty() {
            vec![1.0; self.tasks.len()]
        } else {
            self.turn(state, |balancer, turn| balancer.weigh(turn, &gram))
        };
        self.factors.fill(0.0);
        self.weighed.fill(None);
        for (&task, weight) in self.tasks.iter().zip(weighed) {
            // Gradients that the balancer has seen are multiplied by their factors already.
            self.factors[task] = weight * if self.sees == Sees::Gradients { 1.0 } else { self.own[task] };
            self.weighed[task] = Some(weight);
        }
        let Balancing { shared, factors, own, .. } = self;
        session.gradients(&mut |path, rows| combine(rows, if shared.contains(path) { factors } else { own }));
        Some(())
    }

    /// For an objective: what its derivatives say, and the factor of its gradient.
    fn scale(&mut self, session: &mut dyn Session, state: &mut State) -> Option<()> {
        self.weighed.fill(None);
        let scale = if self.tasks.is_empty() { 1.0 } else { self.turn(state, |balancer, turn| balancer.scale(turn)) };
        match &self.formula {
            None => self.factors.copy_from_slice(&self.weights),
            Some(formula) => {
                let numbers = self.numbers.as_ref().map_or(&[][..], |path| &state.weights.get(path).data);
                formula.evaluate(&self.weights, &self.losses, numbers, &self.present, &mut self.factors);
            }
        }
        for &task in &self.tasks {
            self.weighed[task] = Some(scale * self.factors[task] / self.weights[task]);
        }
        if !scale.is_finite() {
            return None;
        }
        if scale != 1.0 {
            session.gradients(&mut |_, rows| combine(rows, &[scale]));
        }
        Some(())
    }

    /// The products of the present tasks' gradients, one sweep over the shared parameters.
    fn gram(&mut self, session: &mut dyn Session, state: &mut State, held: Option<&Half>) -> Option<Gram> {
        let all = self.weights.len();
        let (mut room, mut sums) = (std::mem::take(&mut self.room), std::mem::take(&mut self.sums));
        sums.clear();
        sums.resize(all * all, 0.0);
        let mut last = vec![0.0; all];
        session.gradients(&mut |path, rows| {
            if !self.shared.contains(path) && held.is_none() {
                return;
            }
            if let Some(half) = held {
                if self.shared.contains(path) {
                    let first: SmallVec<[Option<&[f32]>; FEW]> = half.held[path].iter().map(Option::as_deref).collect();
                    products(&first, Some(&read(rows)), &mut sums, &mut room);
                }
                half.join(path, rows);
                return;
            }
            if self.sees == Sees::Gradients {
                for (row, own) in rows.iter_mut().zip(&self.own) {
                    combine(std::slice::from_mut(row), &[*own]);
                }
                self.turn(state, |balancer, turn| balancer.observe(turn, path, rows));
            }
            let before: SmallVec<[f64; FEW]> = (0..all).map(|i| sums[i * all + i]).collect();
            products(&read(rows), None, &mut sums, &mut room);
            if self.last.contains(path) {
                (0..all).for_each(|i| last[i] += sums[i * all + i] - before[i]);
            }
        });
        let factor = |i: usize| if self.sees == Sees::Gradients { 1.0 } else { self.own[i] };
        let value = |(&i, &j): (&usize, &usize)| sums[i * all + j] * factor(i) * factor(j);
        let values = self.tasks.iter().flat_map(|i| self.tasks.iter().map(move |j| (i, j))).map(value).collect();
        let last = self.tasks.iter().map(|&i| last[i].max(0.0) * factor(i) * factor(i)).collect();
        let gram = Gram::new(values, last);
        (self.room, self.sums) = (room, sums);
        gram.is_finite().then_some(gram)
    }

    pub fn looks_back(&self) -> bool {
        self.balancer.looks_back()
    }

    /// Behind the step.
    pub fn end(&mut self, state: &mut State, after: &[f64]) {
        if !self.tasks.is_empty() {
            self.turn(state, |balancer, turn| balancer.end(turn, after));
        }
    }

    /// Behind the last step of an epoch.
    pub fn epoch_ends(&self, state: &mut State) {
        self.turn(state, |balancer, turn| balancer.epoch_ends(turn));
    }
}

fn read<'r>(rows: &'r [Option<&mut [f32]>]) -> SmallVec<[Option<&'r [f32]>; FEW]> {
    rows.iter().map(|row| row.as_deref()).collect()
}

/// What is kept of the first half of a batch while the second is computed.
pub struct Half {
    held: Held,
    /// For each task the share of its labels that lie in the first half.
    shares: Vec<f64>,
}

impl Half {
    /// Keeps the gradients of the session, which has just computed the first half.
    pub fn of(balancing: &Balancing, session: &mut dyn Session, halves: &[Batch; 2]) -> Half {
        let mut held = Held::new();
        session.gradients(&mut |path, rows| {
            held.insert(path.into(), rows.iter().map(|row| row.as_ref().map(|row| row.to_vec())).collect());
        });
        let share = |task: usize| {
            let [first, second] = [0, 1].map(|half| balancing.labels(&halves[half], task) as f64);
            if first + second > 0.0 { first / (first + second) } else { 0.5 }
        };
        Half { held, shares: (0..balancing.weights.len()).map(share).collect() }
    }

    /// A loss of both halves, from those of each.
    pub fn loss(&self, task: usize, first: f64, second: f64) -> f64 {
        self.shares[task] * first + (1.0 - self.shares[task]) * second
    }

    /// Makes the gradients of the second half those of both.
    fn join(&self, path: &str, rows: &mut [Option<&mut [f32]>]) {
        for (task, (row, first)) in rows.iter_mut().zip(&self.held[path]).enumerate() {
            if let (Some(row), Some(first)) = (row, first) {
                let share = self.shares[task] as f32;
                row.iter_mut().zip(first).for_each(|(g, first)| *g += share * (first - *g));
            }
        }
    }
}

/// The first rows of a batch, and the others.
pub fn halves(batch: &Batch) -> [Batch; 2] {
    let middle = batch.size / 2;
    [0..middle, middle..batch.size].map(|rows| {
        let array = |array: &Array| {
            let width = array.dims().iter().skip(1).product::<usize>();
            let range = rows.start * width..rows.end * width;
            let dims = std::iter::once(rows.len()).chain(array.dims().iter().skip(1).copied()).collect();
            match array {
                Array::F32 { data, .. } => Array::F32 { dims, data: data[range].to_vec() },
                Array::I64 { data, .. } => Array::I64 { dims, data: data[range].to_vec() },
            }
        };
        Batch {
            size: rows.len(),
            values: batch.values.iter().map(|(name, values)| (name.clone(), array(values))).collect(),
            present: batch.present.iter().map(|(name, p)| (name.clone(), p[rows.clone()].to_vec())).collect(),
        }
    })
}
