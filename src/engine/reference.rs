//! The reference engine: every op by its dfdx definition, the gradient by dfdx's tape.
//!
//! It is short and obviously right, and the oracle for any other engine. A value that is not taped is computed on `NoneTape`.
//! A taped value is computed on a fresh `OwnedTape` that then joins the one tape of the step; dfdx runs the joined operations
//! backwards in the order of their making, so values read by several heads gather all their gradients before they pass them on.

use super::feed::{Feed, feed};
use super::{Engine, Noise, Session, Visit, Weights};
use crate::data::Batch;
use crate::each_rank;
use crate::graph::{Definition, Graph, Leaf, ValueId};
use crate::ops::Value;
use crate::ops::pullback::gradient;
use crate::ops::value::Recording;
use dfdx::prelude::{Backward, Merge, PutTape};
use indexmap::IndexMap;

pub struct Reference;

impl Engine for Reference {
    fn name(&self) -> &'static str {
        "dfdx"
    }

    fn summary(&self) -> &'static str {
        "the reference engine: every op by its definition, gradients by dfdx's tape"
    }

    fn session<'g>(&self, graph: &'g Graph) -> Box<dyn Session + 'g> {
        Box::new(Taping { graph, results: vec![], objectives: 0, gradients: IndexMap::new() })
    }
}

/// A session keeps the results and the gradients of the last step.
struct Taping<'g> {
    graph: &'g Graph,
    results: Vec<Vec<f32>>,
    objectives: usize,
    /// By path, for each objective that reaches the parameter.
    gradients: IndexMap<String, Vec<(usize, Vec<f32>)>>,
}

impl Taping<'_> {
    /// The gradient of one objective, by a tape of its own.
    fn gradient(&mut self, weights: &Weights, batch: &Batch, noise: Noise, wanted: &[ValueId], objective: ValueId) {
        let graph = self.graph;
        let kept: Vec<ValueId> = wanted.iter().copied().chain([objective]).collect();
        let mut run = Run::new(graph, &kept);
        run.compute(weights, batch, Some(noise), true);
        self.results = run.read(wanted);
        let mut gradients = run.objective(objective).put_tape(std::mem::take(&mut run.tape)).backward();
        let reached = graph.reached(objective);
        let number = self.objectives;
        self.objectives += 1;
        for (id, value) in graph.values.iter().enumerate() {
            let Definition::Leaf(Leaf::Parameter(path)) = &value.definition else { continue };
            if reached[id] {
                let leaf = run.values[id].as_ref().expect("leaves are kept");
                let own = gradient(leaf, &mut gradients).expect("a parameter has numbers");
                self.gradients.entry(path.clone()).or_default().push((number, own));
            }
        }
    }
}

impl Session for Taping<'_> {
    fn forward(&mut self, weights: &Weights, batch: &Batch, wanted: &[ValueId]) {
        let mut run = Run::new(self.graph, wanted);
        run.compute(weights, batch, None, false);
        self.results = run.read(wanted);
    }

    fn backward(&mut self, weights: &Weights, batch: &Batch, noise: Noise, wanted: &[ValueId], objectives: &[ValueId]) {
        (self.objectives, self.gradients) = (0, IndexMap::new());
        if objectives.is_empty() {
            let mut run = Run::new(self.graph, wanted);
            run.compute(weights, batch, Some(noise), false);
            self.results = run.read(wanted);
        }
        objectives.iter().for_each(|&objective| self.gradient(weights, batch, noise, wanted, objective));
        // Parameters come in the order of the graph, whichever objective met them first.
        let order: Vec<&String> = parameters(self.graph).collect();
        self.gradients.sort_by_cached_key(|path, _| order.iter().position(|p| *p == path));
    }

    fn result(&self, number: usize) -> &[f32] {
        &self.results[number]
    }

    fn gradients(&mut self, visit: &mut Visit) {
        for (path, found) in &mut self.gradients {
            let mut each: Vec<Option<&mut [f32]>> = (0..self.objectives).map(|_| None).collect();
            found.iter_mut().for_each(|(objective, gradient)| each[*objective] = Some(gradient));
            visit(path, &mut each);
        }
    }
}

/// The parameters that a graph reads, in its order.
fn parameters(graph: &Graph) -> impl Iterator<Item = &String> {
    graph.values.iter().filter_map(|value| match &value.definition {
        Definition::Leaf(Leaf::Parameter(path)) => Some(path),
        _ => None,
    })
}

/// One walk through a graph.
struct Run<'a> {
    graph: &'a Graph,
    values: Vec<Option<Value>>,
    /// The last value that reads each value; `None` for leaves and for what is kept.
    last: Vec<Option<usize>>,
    tape: Recording,
}

impl<'a> Run<'a> {
    fn new(graph: &'a Graph, kept: &[ValueId]) -> Self {
        let leaves = graph.ids().filter(|&id| matches!(graph.value(id).definition, Definition::Leaf(_)));
        let last = graph.last_reads(kept.iter().copied().chain(leaves));
        Self { graph, values: vec![None; graph.values.len()], last, tape: Recording::default() }
    }

    /// Computes every value, recording the taped ones when `record` is set, and forgets each after its last reader.
    fn compute(&mut self, weights: &Weights, batch: &Batch, noise: Option<Noise>, record: bool) {
        for (i, value) in self.graph.values.iter().enumerate() {
            let dims = value.ty.at(batch.size);
            let result = match &value.definition {
                Definition::Leaf(leaf) => match feed(leaf, &value.ty, weights, batch, noise) {
                    Feed::Numbers(numbers) => Value::from_vec(numbers, &dims),
                    Feed::Ids(ids) => Value::from_ids(ids, &dims),
                },
                Definition::Op { op, inputs } if record && value.taped => {
                    let inputs = self.recorded(inputs);
                    let (result, tape) = op.define(inputs, &value.ty, batch.size).split();
                    self.tape = std::mem::take(&mut self.tape).merge(tape);
                    result
                }
                Definition::Op { op, inputs } => {
                    let inputs = inputs.iter().map(|&id| self.value(id).clone()).collect();
                    op.define(inputs, &value.ty, batch.size)
                }
            };
            self.values[i] = Some(result);
            for input in value.inputs() {
                if self.last[input.0] == Some(i) {
                    self.values[input.0] = None;
                }
            }
        }
    }

    fn value(&self, id: ValueId) -> &Value {
        self.values[id.0].as_ref().expect("inputs stand before their readers and live until the last one")
    }

    /// The inputs on tapes of their own. dfdx tells tensors apart by identity alone, so a value that an op reads twice is
    /// given a second identity, through which its gradient flows back.
    fn recorded(&self, inputs: &[ValueId]) -> Vec<Value<Recording>> {
        let twice = |i: usize| inputs[..i].contains(&inputs[i]);
        let tape = |(i, &id): (usize, &ValueId)| {
            let value = self.value(id).retaped::<Recording>();
            if twice(i) && !matches!(value, Value::Ids(_)) { each_rank!(value, |t| t * 1.0) } else { value }
        };
        inputs.iter().enumerate().map(tape).collect()
    }

    fn read(&self, wanted: &[ValueId]) -> Vec<Vec<f32>> {
        wanted.iter().map(|&id| self.value(id).to_vec()).collect()
    }

    fn objective(&self, id: ValueId) -> crate::ops::value::T0 {
        self.value(id).clone().r0()
    }
}
