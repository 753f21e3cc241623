//! A graph as a static program for one batch size: every instruction, forward and backward, in order, and a place in one arena
//! for everything that is computed.
//!
//! The backward program is derived from the graph before anything runs. It visits the taped values from the last to the first;
//! each hands its gradient to the taped inputs through its op's pull-back. What is not taped gets no instruction and no memory,
//! so nothing below the lowest trained parameter is ever computed backwards or kept. Several objectives give several backward
//! programs behind one forward program, each with gradients of its own.
//!
//! A place is taken from the instruction that writes a value to the last one that reads it, the pull-backs included; places
//! whose times do not meet share memory. What a pull-back reads depends on the op's kernel; a definition's own pull-back reads
//! every input. Three decisions save more:
//!
//! - a *view*, such as a reshape, has the place of what it views, and a gradient that passes an op unchanged, as through a sum,
//!   stays where it is;
//! - leaves that a batch or the weights bring, and what is constant, are read where they are;
//! - what is *cheap*, a norm with its activation whose input is kept anyway, is computed again before the backward program
//!   reads it.

pub use super::instruction::{Instruction, Needs, Operand, Place, Target};

use super::places::{Buffer, assign};
use super::slices;
use crate::graph::{Definition, Graph, Leaf, Role, ValueId};
use crate::ops::Op;
use indexmap::IndexMap;
use std::ops::Range;

#[derive(Clone, Debug)]
pub struct Program {
    pub batch: usize,
    /// Numbers in the arena.
    pub arena: usize,
    /// What is constant and needed, in the order of the graph.
    pub constants: Vec<ValueId>,
    pub steps: Vec<Instruction>,
    /// Where the kept values are in the end.
    pub kept: Vec<Operand>,
    /// For each objective the gradient of every trained parameter that it reaches, by path.
    pub gradients: Vec<IndexMap<String, Place>>,
}

/// The forward program: computes `kept`, and keeps these values to the end.
pub fn forward(graph: &Graph, batch: usize, kept: &[ValueId]) -> Program {
    backward(graph, batch, kept, &[])
}

/// The forward program, and behind it for each objective a backward program to every trained parameter.
pub fn backward(graph: &Graph, batch: usize, kept: &[ValueId], objectives: &[ValueId]) -> Program {
    Draft {
        graph,
        batch,
        buffers: vec![],
        values: vec![None; graph.values.len()],
        again: vec![false; graph.values.len()],
        steps: vec![],
        rows: batch,
        segments: vec![],
    }
    .finish(kept, objectives)
}

/// The value whose numbers a view shows, or the value itself.
pub fn root(graph: &Graph, id: ValueId) -> ValueId {
    let types = |inputs: &[ValueId]| inputs.iter().map(|&i| graph.value(i).ty.clone()).collect::<Vec<_>>();
    match &graph.value(id).definition {
        Definition::Op { op, inputs } if !graph.value(id).constant && op.is_view(&types(inputs)) => {
            root(graph, inputs[0])
        }
        _ => id,
    }
}

/// Whether a value is worth computing again rather than keeping: a norm over moments that are kept, whose input its pull-back
/// reads anyway.
fn cheap(graph: &Graph, id: ValueId) -> bool {
    matches!(&graph.value(id).definition, Definition::Op { op: Op::BatchNorm(op), .. } if op.own_moments && !op.epilogue.residual)
}

/// A program before its places are known: places hold the number of their buffer in place of an offset.
struct Draft<'a> {
    graph: &'a Graph,
    batch: usize,
    buffers: Vec<Buffer>,
    /// The buffer of each value that has one now, by its root.
    values: Vec<Option<usize>>,
    /// Whether the value has been computed again for the backward program.
    again: Vec<bool>,
    steps: Vec<Instruction>,
    /// The rows that are computed at a time now.
    rows: usize,
    /// Instructions that are done for some rows at a time, and for how many.
    segments: Vec<(Range<usize>, usize)>,
}

impl Draft<'_> {
    fn buffer(&mut self, id: ValueId) -> usize {
        let ty = &self.graph.value(id).ty;
        let row = if ty.is_batched() { ty.elements(1) } else { 0 };
        self.push(Buffer { len: ty.elements(self.batch), row: Some(row), first: 0, last: 0 })
    }

    fn push(&mut self, buffer: Buffer) -> usize {
        let now = self.steps.len();
        self.buffers.push(Buffer { first: now, last: now, ..buffer });
        self.buffers.len() - 1
    }

    fn touch(&mut self, buffer: usize) {
        self.buffers[buffer].last = self.steps.len();
    }

    fn place(&self, buffer: usize) -> Place {
        Place { offset: buffer, len: self.buffers[buffer].len }
    }

    /// Reads a value in the instruction that comes next.
    fn read(&mut self, id: ValueId) -> Operand {
        let root = root(self.graph, id);
        match self.values[root.0] {
            Some(buffer) => {
                self.touch(buffer);
                Operand::Place(self.place(buffer))
            }
            None => Operand::Given(root),
        }
    }

    /// Which values a program for these must compute, constants aside.
    fn needed(&self, wanted: impl Iterator<Item = ValueId>) -> Vec<bool> {
        let mut needed = vec![false; self.graph.values.len()];
        wanted.for_each(|id| needed[id.0] = true);
        for i in (0..needed.len()).rev() {
            if needed[i] {
                self.graph.values[i].inputs().iter().for_each(|id| needed[id.0] = true);
            }
        }
        needed
    }

    /// Computes a value for the rows of now, into a place for the whole batch or for these rows.
    fn compute(&mut self, id: ValueId, whole: bool) {
        let inputs = self.graph.value(id).inputs().iter().map(|&i| self.read(i)).collect();
        let buffer = if whole {
            self.buffer(id)
        } else {
            let len = self.graph.value(id).ty.elements(self.rows);
            self.push(Buffer { len, row: None, first: 0, last: 0 })
        };
        self.values[id.0] = Some(buffer);
        let into = self.place(buffer);
        self.steps.push(Instruction::Compute { value: id, rows: 0..self.rows, inputs, into });
    }

    /// The forward program of values in slices of their rows; it is written down for the first slice of each segment.
    fn compute_all(&mut self, computed: &[ValueId], slices: &[usize], kept: &[ValueId], needed: &[bool]) {
        let graph = self.graph;
        // The segment of each value, and the roots that are read outside of their own.
        let mut segment = vec![None; graph.values.len()];
        let mut number = 0;
        for (i, id) in computed.iter().enumerate() {
            number += usize::from(i > 0 && slices[i] != slices[i - 1]);
            segment[id.0] = Some(number);
        }
        let mut whole = vec![false; graph.values.len()];
        kept.iter().for_each(|&id| whole[root(graph, id).0] = true);
        for id in graph.ids().filter(|id| needed[id.0] && root(graph, *id) == *id) {
            for input in graph.value(id).inputs().iter().map(|&input| root(graph, input)) {
                whole[input.0] |= segment[input.0] != segment[id.0];
            }
        }
        let mut i = 0;
        while i < computed.len() {
            let end = (i..computed.len()).find(|&j| slices[j] != slices[i]).unwrap_or(computed.len());
            let first = self.steps.len();
            self.rows = slices[i];
            for id in &computed[i..end] {
                self.compute(*id, self.rows == self.batch || whole[id.0]);
            }
            if self.rows != self.batch {
                let steps = first..self.steps.len();
                // What holds rows of all slices is held from the first slice to the last.
                for buffer in self.buffers.iter_mut().filter(|b| b.row.is_some() && b.last >= first) {
                    buffer.first = if buffer.first > first { first } else { buffer.first };
                    buffer.last = steps.end - 1;
                }
                self.segments.push((steps, self.rows));
            }
            i = end;
        }
        self.rows = self.batch;
    }

    /// Lays the program out; the backward programs of the objectives stand behind.
    fn finish(mut self, kept: &[ValueId], objectives: &[ValueId]) -> Program {
        let graph = self.graph;
        let needed = self.needed(kept.iter().chain(objectives).copied());
        let (mut constants, mut computed) = (vec![], vec![]);
        for id in graph.ids().filter(|id| needed[id.0]) {
            match &graph.value(id).definition {
                Definition::Leaf(Leaf::Mask { .. } | Leaf::Share { .. }) => {
                    let buffer = self.buffer(id);
                    self.values[id.0] = Some(buffer);
                    let into = self.place(buffer);
                    self.steps.push(Instruction::Draw { value: id, into });
                }
                Definition::Leaf(_) => {}
                Definition::Op { .. } if graph.value(id).constant => constants.push(id),
                Definition::Op { .. } if root(graph, id) != id => {}
                Definition::Op { .. } => computed.push(id),
            }
        }
        let slices = if objectives.is_empty() {
            slices::rows(graph, self.batch, &computed)
        } else {
            vec![self.batch; computed.len()]
        };
        self.compute_all(&computed, &slices, kept, &needed);
        // A view is kept under its root's name, and what is kept is never computed again elsewhere.
        kept.iter().for_each(|&id| self.again[root(graph, id).0] = true);
        let gradients: Vec<_> = objectives.iter().map(|&o| self.reverse(o, &needed)).collect();
        let kept: Vec<Operand> = kept.iter().map(|&id| self.read(id)).collect();
        // An objective's gradients stay while those behind it are computed.
        gradients.iter().flat_map(IndexMap::values).for_each(|place: &Place| self.touch(place.offset));
        let (offsets, arena) = assign(&self.buffers);
        let real = |place: Place| Place { offset: offsets[place.offset], len: place.len };
        let steps = self.placed(&offsets);
        Program {
            batch: self.batch,
            arena,
            constants,
            steps,
            kept: kept.into_iter().map(|o| o.placed(&real)).collect(),
            gradients: gradients
                .into_iter()
                .map(|g| g.into_iter().map(|(path, p)| (path, real(p))).collect())
                .collect(),
        }
    }

    /// The instructions with their places, segments once for each slice. The last slice ends with the batch, and may compute rows
    /// of the one before again: then all slices have one size, and a kernel one call.
    fn placed(&self, offsets: &[usize]) -> Vec<Instruction> {
        let mut steps = vec![];
        let mut done = 0;
        let end = (self.steps.len()..self.steps.len(), self.batch);
        for (segment, rows) in self.segments.iter().chain([&end]) {
            steps.extend(self.steps[done..segment.start].iter().map(|step| self.at(step, offsets, None)));
            for slice in 0..if segment.is_empty() { 0 } else { self.batch.div_ceil(*rows) } {
                let first = (slice * rows).min(self.batch - rows);
                let rows = Some(first..first + rows);
                steps.extend(self.steps[segment.clone()].iter().map(|step| self.at(step, offsets, rows.clone())));
            }
            done = segment.end;
        }
        steps
    }

    /// An instruction with its places, for some rows where it belongs to a slice.
    fn at(&self, step: &Instruction, offsets: &[usize], slice: Option<Range<usize>>) -> Instruction {
        let real = |place: Place| {
            let offset = offsets[place.offset];
            match (&slice, self.buffers[place.offset].row) {
                (Some(rows), Some(row)) if row > 0 => {
                    Place { offset: offset + rows.start * row, len: rows.len() * row }
                }
                _ => Place { offset, len: place.len },
            }
        };
        step.placed(&real, slice.clone())
    }

    /// A value that the backward program reads: what is cheap is computed again first, once.
    fn read_again(&mut self, id: ValueId) -> Operand {
        let root = root(self.graph, id);
        if cheap(self.graph, root) && !std::mem::replace(&mut self.again[root.0], true) {
            self.compute(root, true);
        }
        self.read(root)
    }

    /// The backward program of an objective, and the gradients it leaves for the optimizer.
    fn reverse(&mut self, objective: ValueId, needed: &[bool]) -> IndexMap<String, Place> {
        let graph = self.graph;
        let mut gradients: Vec<Option<usize>> = vec![None; graph.values.len()];
        if graph.value(objective).taped {
            let seed = self.buffer(objective);
            gradients[objective.0] = Some(seed);
            self.steps.push(Instruction::Seed(self.place(seed)));
        }
        for id in graph.ids().rev().filter(|id| needed[id.0]) {
            let (Definition::Op { op, inputs }, Some(cotangent)) = (&graph.value(id).definition, gradients[id.0])
            else {
                continue;
            };
            self.pull_back(id, op, inputs, cotangent, &mut gradients);
        }
        let mut left = IndexMap::new();
        for (value, gradient) in graph.values.iter().zip(gradients) {
            let (Definition::Leaf(Leaf::Parameter(path)), Some(buffer)) = (&value.definition, gradient) else {
                continue;
            };
            if graph.parameters[path].role == Role::Trained {
                self.touch(buffer);
                left.insert(path.clone(), self.place(buffer));
            }
        }
        left
    }

    fn pull_back(
        &mut self,
        id: ValueId,
        op: &Op,
        inputs: &[ValueId],
        cotangent: usize,
        gradients: &mut [Option<usize>],
    ) {
        let graph = self.graph;
        let types: Vec<_> = inputs.iter().map(|&i| graph.value(i).ty.clone()).collect();
        let flows = |i: usize| graph.value(inputs[i]).taped && op.differentiates(i);
        // A gradient that comes out as it went in stays where it is: for one input whose first gradient this is.
        let passed = (0..inputs.len()).find(|&i| {
            let again = inputs.iter().filter(|input| **input == inputs[i]).count() > 1;
            flows(i) && !again && op.passes(i, &types) && gradients[inputs[i].0].is_none()
        });
        if (0..inputs.len()).any(|i| flows(i) && Some(i) != passed) {
            let reads = Needs::of(op, inputs.len());
            // Computing something again takes instructions of its own, which come before this one.
            for (input, _) in inputs.iter().zip(&reads.inputs).filter(|(_, read)| **read) {
                self.read_again(*input);
            }
            if reads.output {
                self.read_again(id);
            }
            let operand = |(i, &input): (usize, &ValueId)| {
                if reads.inputs[i] { self.read(input) } else { Operand::Unread }
            };
            let operands: Vec<Operand> = inputs.iter().enumerate().map(operand).collect();
            let output = if reads.output { self.read(id) } else { Operand::Unread };
            // A value that the op reads twice gets its two gradients one after the other.
            let turn = |i: usize| inputs[..i].iter().filter(|input| **input == inputs[i]).count();
            for now in 0..=(0..inputs.len()).map(turn).max().unwrap_or(0) {
                let mut into = vec![];
                for (i, input) in inputs.iter().enumerate() {
                    into.push((flows(i) && Some(i) != passed && turn(i) == now).then(|| {
                        let add = gradients[input.0].is_some();
                        let buffer = *gradients[input.0].get_or_insert_with(|| self.buffer(*input));
                        self.touch(buffer);
                        Target { place: self.place(buffer), add }
                    }));
                }
                for operand in operands.iter().chain([&output]) {
                    if let Operand::Place(place) = operand {
                        self.touch(place.offset);
                    }
                }
                self.touch(cotangent);
                if into.iter().any(Option::is_some) {
                    let (inputs, cotangent) = (operands.clone(), self.place(cotangent));
                    self.steps.push(Instruction::Pullback { value: id, inputs, output, cotangent, into });
                }
            }
        }
        if let Some(i) = passed {
            gradients[inputs[i].0] = Some(cotangent);
        }
    }
}
