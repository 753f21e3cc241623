//! A call of a kernel, with everything looked up that can be known before a step.

use super::fixed::Fixed;
use super::{Missing, range};
use crate::base::DType;
use crate::data::{Array, Batch};
use crate::engine::Weights;
use crate::graph::{Definition, Graph, Leaf, ValueId};
use crate::kernels::cpu::arena::{Block, Window};
use crate::kernels::cpu::{self, Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::pullback::pullback;
use crate::ops::{Op, Value};
use crate::plan::fixed::{prepared, shapes};
use crate::plan::program::{Operand, Place, Target};
use dfdx::prelude::NoneTape;
use smallvec::SmallVec;
use std::ops::Range;

/// Inputs that a call lists without an allocation.
const FEW: usize = 16;

/// Where an input's numbers are during a step.
#[derive(Clone, Copy)]
enum Source {
    /// The next slice of the window.
    Window,
    Given(ValueId),
    /// What a kernel made of a weight, by its number.
    Prepared(usize),
    Unread,
}

pub struct Call<'g> {
    pub value: ValueId,
    /// The rows of the batch that are computed.
    rows: Range<usize>,
    op: &'g Op,
    kernel: Option<&'g dyn Kernel>,
    shapes: Shapes,
    sources: Vec<Source>,
    window: Window,
    what: What,
    pub cost: Cost,
}

/// What a call costs by count, whatever time it takes.
#[derive(Clone, Copy)]
pub struct Cost {
    pub op: &'static str,
    pub backward: bool,
    pub flops: f64,
    /// Of the numbers that it reads and writes, each once.
    pub bytes: f64,
}

enum What {
    Forward,
    /// Whether the result is read, and for each input whether its gradient is wanted, and added to what is there.
    Pullback {
        output: bool,
        into: Vec<Option<bool>>,
    },
}

/// What a step is given: weights, rows, and what follows from weights that do not move.
pub struct Given<'a> {
    pub graph: &'a Graph,
    pub weights: &'a Weights,
    pub batch: &'a Batch,
    pub missing: &'a Missing,
    pub fixed: &'a Fixed<'a>,
}

impl<'a> Given<'a> {
    /// These rows of a given value; all of one that has none.
    fn input(&self, id: ValueId, rows: &Range<usize>) -> Input<'a> {
        let value = self.graph.value(id);
        let len = || value.ty.elements(rows.len());
        let begin = if value.ty.is_batched() { rows.start * value.ty.elements(1) } else { 0 };
        let range = || begin..begin + len();
        match &value.definition {
            Definition::Leaf(Leaf::Parameter(path)) => Input::Numbers(&self.weights.get(path).data),
            // A target that a batch does not bring is missing for every row.
            Definition::Leaf(Leaf::Input(name) | Leaf::Target(name)) => match self.batch.values.get(name) {
                Some(Array::F32 { data, .. }) => Input::Numbers(&data[range()]),
                Some(Array::I64 { data, .. }) => Input::Ids(&data[range()]),
                None if value.ty.dtype == DType::I64 => Input::Ids(&self.missing.ids[..len()]),
                None => Input::Numbers(&self.missing.numbers[..len()]),
            },
            Definition::Leaf(Leaf::Presence(name)) => Input::Numbers(match self.batch.present.get(name) {
                Some(present) => &present[range()],
                None => &self.missing.numbers[..len()],
            }),
            Definition::Leaf(Leaf::Mask { .. } | Leaf::Share { .. }) => {
                unreachable!("masks and shares are drawn into the arena")
            }
            Definition::Op { .. } => Input::Numbers(self.fixed.constant(id)),
        }
    }

    /// Copies a given value; indices become numbers.
    pub fn copy(&self, id: ValueId, into: &mut Vec<f32>) {
        into.clear();
        match self.input(id, &(0..self.batch.size)) {
            Input::Numbers(numbers) | Input::Prepared(numbers) => into.extend_from_slice(numbers),
            Input::Ids(ids) => into.extend(ids.iter().map(|&i| i as f32)),
        }
    }
}

/// The op and inputs of a computed value.
pub fn definition(graph: &Graph, value: ValueId) -> (&Op, &[ValueId]) {
    match &graph.value(value).definition {
        Definition::Op { op, inputs } => (op, inputs),
        Definition::Leaf(_) => unreachable!("only ops are computed"),
    }
}

fn source(operand: &Operand) -> Source {
    match operand {
        Operand::Place(_) => Source::Window,
        Operand::Given(id) => Source::Given(*id),
        Operand::Unread => Source::Unread,
    }
}

fn places<'o>(operands: impl IntoIterator<Item = &'o Operand>) -> Vec<std::ops::Range<usize>> {
    let place = |o: &Operand| if let Operand::Place(place) = o { Some(range(*place)) } else { None };
    operands.into_iter().filter_map(place).collect()
}

/// Bytes of the inputs that a call reads, and of a result or its gradient.
fn bytes(graph: &Graph, value: ValueId, inputs: &[Operand], batch: usize) -> f64 {
    let (op, ids) = definition(graph, value);
    let result = 4 * graph.value(value).ty.elements(batch);
    let input = |(id, operand): (&ValueId, &Operand)| {
        let ty = &graph.value(*id).ty;
        match (operand, op, ty.dtype) {
            (Operand::Unread, ..) => 0,
            (_, _, DType::I64) => 8 * ty.elements(batch),
            // These read no more of a table or a tensor than they write.
            (_, Op::Embedding(_) | Op::Slice(_), DType::F32) => result.min(4 * ty.elements(batch)),
            (_, _, DType::F32) => 4 * ty.elements(batch),
        }
    };
    (ids.iter().zip(inputs).map(input).sum::<usize>() + result) as f64
}

impl<'g> Call<'g> {
    pub fn forward(
        graph: &'g Graph,
        value: ValueId,
        inputs: &[Operand],
        into: Place,
        rows: Range<usize>,
        trains: bool,
        fixed: &mut Fixed<'g>,
    ) -> Self {
        let batch = rows.len();
        let (op, ids) = definition(graph, value);
        let (kernel, shapes) = (cpu::find(op), shapes(graph, value, batch, trains));
        let prepared = |(i, operand): (usize, &Operand)| {
            let len = prepared(graph, value, i, operand, &shapes, batch);
            match (kernel, operand, len) {
                (Some(kernel), Operand::Given(id), Some(len)) => {
                    Source::Prepared(fixed.prepare(graph, kernel, (value, i), *id, &shapes, len))
                }
                _ => source(operand),
            }
        };
        let sources = inputs.iter().enumerate().map(prepared).collect();
        debug_assert_eq!(ids.len(), inputs.len());
        let window = Window::new(places(inputs), vec![range(into)]);
        let flops = graph.value_flops(graph.value(value)) as f64 * batch as f64;
        let cost = Cost { op: op.name(), backward: false, flops, bytes: bytes(graph, value, inputs, batch) };
        Self { value, rows, op, kernel, shapes, sources, window, what: What::Forward, cost }
    }

    #[allow(clippy::too_many_arguments, reason = "they are the fields of the instruction")]
    pub fn pullback(
        graph: &'g Graph,
        value: ValueId,
        inputs: &[Operand],
        output: Operand,
        cotangent: Place,
        into: &[Option<Target>],
        batch: usize,
        trains: bool,
    ) -> Self {
        let (op, ids) = definition(graph, value);
        // Each gradient of a product takes as many operations as the product; those of bias and residual are sums.
        let products = into.iter().take(2).flatten().count().max(1);
        let flops = graph.value_flops(graph.value(value)) as f64 * (batch * products) as f64;
        let numbers = |id: ValueId| 4.0 * graph.value(id).ty.elements(batch) as f64;
        let written =
            ids.iter().zip(into).filter_map(|(id, t)| t.map(|t| numbers(*id) * f64::from(1 + u8::from(t.add))));
        let result = numbers(value) * f64::from(u8::from(!matches!(output, Operand::Unread)));
        let bytes = bytes(graph, value, inputs, batch) + result + written.sum::<f64>();
        let cost = Cost { op: op.name(), backward: true, flops, bytes };
        let reads = places(inputs.iter().chain([&output, &Operand::Place(cotangent)]));
        let writes = into.iter().flatten().map(|t| range(t.place)).collect();
        let into = into.iter().map(|t| t.map(|t| t.add)).collect();
        Self {
            value,
            rows: 0..batch,
            op,
            kernel: cpu::find(op),
            shapes: shapes(graph, value, batch, trains),
            sources: inputs.iter().map(source).collect(),
            window: Window::new(reads, writes),
            what: What::Pullback { output: matches!(output, Operand::Place(_)), into },
            cost,
        }
    }

    pub fn run(&self, given: &Given, arena: &mut Block) {
        let (reads, mut writes) = self.window.open(arena);
        if given.batch.size == 0 {
            return self.run_empty(&mut writes);
        }
        let mut next = reads.iter();
        let input = |source: &Source| match source {
            Source::Window => Input::Numbers(next.next().expect("one for each place")),
            Source::Given(id) => given.input(*id, &self.rows),
            Source::Prepared(number) => Input::Prepared(given.fixed.prepared(*number)),
            Source::Unread => Input::Numbers(&[]),
        };
        let inputs: SmallVec<[Input; FEW]> = self.sources.iter().map(input).collect();
        match (&self.what, self.kernel) {
            (What::Forward, Some(kernel)) => kernel.forward(&inputs, &self.shapes, writes[0]),
            (What::Forward, None) => {
                let result = self.op.define(self.values(&inputs), &given.graph.value(self.value).ty, self.rows.len());
                writes[0].copy_from_slice(&result.to_vec());
            }
            (What::Pullback { output, into }, kernel) => {
                let cotangent = reads[reads.len() - 1];
                let output = if *output { reads[reads.len() - 2] } else { &[] };
                let mut writes = writes.into_iter();
                let gradient = |add: &Option<bool>| {
                    add.map(|add| Gradient { data: writes.next().expect("one for each target"), add })
                };
                let mut gradients: SmallVec<[Option<Gradient>; FEW]> = into.iter().map(gradient).collect();
                match kernel {
                    Some(kernel) => {
                        let call = Backward { inputs: &inputs, output, cotangent, shapes: &self.shapes };
                        kernel.pullback(&call, &mut gradients);
                    }
                    None => self.pull_back_by_definition(given, &inputs, cotangent, &mut gradients),
                }
            }
        }
    }

    /// Of no rows there is nothing to compute, and every sum is 0.
    fn run_empty(&self, writes: &mut [&mut [f32]]) {
        match &self.what {
            What::Forward => writes[0].fill(0.0),
            What::Pullback { into, .. } => {
                let fresh = writes.iter_mut().zip(into.iter().flatten()).filter(|(_, add)| !**add);
                fresh.for_each(|(write, _)| write.fill(0.0));
            }
        }
    }

    fn pull_back_by_definition(
        &self,
        given: &Given,
        inputs: &[Input],
        cotangent: &[f32],
        gradients: &mut [Option<Gradient>],
    ) {
        let (values, ty) = (self.values(inputs), &given.graph.value(self.value).ty);
        let (_, found) = pullback(self.op, &values, ty, given.batch.size, cotangent);
        for (gradient, found) in gradients.iter_mut().zip(found) {
            if let (Some(gradient), Some(found)) = (gradient, found) {
                gradient.set(|i| found[i]);
            }
        }
    }

    /// The inputs of a definition: copies.
    fn values(&self, inputs: &[Input]) -> Vec<Value<NoneTape>> {
        let value = |(input, dims): (&Input, &Vec<usize>)| match input {
            Input::Numbers(numbers) | Input::Prepared(numbers) => Value::from_vec(numbers.to_vec(), dims),
            Input::Ids(ids) => Value::from_ids(ids.to_vec(), dims),
        };
        inputs.iter().zip(&self.shapes.inputs).map(value).collect()
    }
}
