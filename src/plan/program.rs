//! A graph as a static program for one batch size: every instruction, forward and backward, in order, and a place in one arena
//! for everything that is computed.
//!
//! The backward program is derived from the graph before anything runs. It visits the taped values from the last to the first;
//! each hands its gradient to the taped inputs through its op's pull-back. What is not taped gets no instruction and no memory,
//! so nothing below the lowest trained parameter is ever computed backwards or kept.
//!
//! A place is taken from the instruction that writes a value to the last one that reads it, the pull-backs included; places
//! whose times do not meet share memory. What a pull-back reads depends on the op's kernel; a definition's own pull-back reads
//! every input.

use crate::base::DType;
use crate::graph::{Definition, Graph, Leaf, Role, ValueId};
use crate::kernels::cpu;
use crate::ops::Op;
use indexmap::IndexMap;

/// A range of the arena, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub offset: usize,
    pub len: usize,
}

/// What the pull-back of an op reads besides the gradient of its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Needs {
    /// For each input, whether its value is read.
    pub inputs: Vec<bool>,
    /// Whether the result is read.
    pub output: bool,
}

impl Needs {
    /// What the pull-back of an op with that many inputs reads, by its kernel or by its definition.
    pub fn of(op: &Op, inputs: usize) -> Needs {
        match cpu::find(op) {
            Some(kernel) => {
                Needs { inputs: (0..inputs).map(|i| kernel.reads(i)).collect(), output: kernel.reads_output() }
            }
            None => Needs { inputs: vec![true; inputs], output: false },
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Instruction {
    /// Bring the numbers of a leaf that is no parameter into its place; indices go to a list of their own.
    Load(ValueId),
    /// Compute a value from its inputs.
    Compute(ValueId),
    /// Make the gradient of the objective 1.
    Seed(Place),
    /// Hand the gradient of a value on to its inputs: for each the place of its gradient, if it is wanted.
    Pullback { value: ValueId, cotangent: Place, into: Vec<Option<Target>> },
}

/// The gradient of an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    pub place: Place,
    /// Whether something is there already, to add to.
    pub add: bool,
}

#[derive(Clone, Debug)]
pub struct Program {
    pub batch: usize,
    /// Numbers in the arena.
    pub arena: usize,
    /// The place of each value; parameters and indices have none.
    pub places: Vec<Option<Place>>,
    pub steps: Vec<Instruction>,
    /// The gradient of every trained parameter, by path; empty in a forward program.
    pub gradients: IndexMap<String, Place>,
}

/// The forward program: computes `kept`, and keeps these values to the end.
pub fn forward(graph: &Graph, batch: usize, kept: &[ValueId]) -> Program {
    Draft::new(graph, batch, kept).finish(None)
}

/// The forward program and the backward program behind it, from the graph's objective to every trained parameter.
pub fn backward(graph: &Graph, batch: usize, kept: &[ValueId]) -> Program {
    Draft::new(graph, batch, kept).finish(graph.objective())
}

/// Something that wants memory: a value, or a gradient of one.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    len: usize,
    /// The first and the last instruction that touches it.
    first: usize,
    last: usize,
}

/// A program before its places are known: places hold the number of their buffer in place of an offset.
struct Draft<'a> {
    graph: &'a Graph,
    batch: usize,
    kept: &'a [ValueId],
    buffers: Vec<Buffer>,
    values: Vec<Option<usize>>,
    steps: Vec<Instruction>,
}

impl<'a> Draft<'a> {
    fn new(graph: &'a Graph, batch: usize, kept: &'a [ValueId]) -> Self {
        Self { graph, batch, kept, buffers: vec![], values: vec![None; graph.values.len()], steps: vec![] }
    }

    fn buffer(&mut self, id: ValueId) -> usize {
        let len = self.graph.value(id).ty.elements(self.batch);
        let now = self.steps.len();
        self.buffers.push(Buffer { len, first: now, last: now });
        self.buffers.len() - 1
    }

    fn touch(&mut self, buffer: usize) {
        self.buffers[buffer].last = self.steps.len();
    }

    fn place(&self, buffer: usize) -> Place {
        Place { offset: buffer, len: self.buffers[buffer].len }
    }

    /// Which values a program for `kept` must compute.
    fn needed(&self, objective: Option<ValueId>) -> Vec<bool> {
        let mut needed = vec![false; self.graph.values.len()];
        self.kept.iter().chain(&objective).for_each(|id| needed[id.0] = true);
        for i in (0..needed.len()).rev() {
            if needed[i] {
                self.graph.values[i].inputs().iter().for_each(|id| needed[id.0] = true);
            }
        }
        needed
    }

    /// Lays the program out; with an objective, the backward program stands behind.
    fn finish(mut self, objective: Option<ValueId>) -> Program {
        let needed = self.needed(objective);
        for id in self.graph.ids().filter(|id| needed[id.0]) {
            let value = self.graph.value(id);
            match &value.definition {
                Definition::Leaf(Leaf::Parameter(_)) => {}
                Definition::Leaf(_) => {
                    if value.ty.dtype == DType::F32 {
                        self.values[id.0] = Some(self.buffer(id));
                    }
                    self.steps.push(Instruction::Load(id));
                }
                Definition::Op { inputs, .. } => {
                    let places: Vec<usize> = inputs.iter().filter_map(|i| self.values[i.0]).collect();
                    places.into_iter().for_each(|b| self.touch(b));
                    self.values[id.0] = Some(self.buffer(id));
                    self.steps.push(Instruction::Compute(id));
                }
            }
        }
        let gradients = objective.map(|o| self.reverse(o, &needed)).unwrap_or_default();
        for id in self.kept {
            if let Some(buffer) = self.values[id.0] {
                self.touch(buffer);
            }
        }
        let (offsets, arena) = assign(&self.buffers);
        let real = |place: Place| Place { offset: offsets[place.offset], len: place.len };
        let steps = self.steps.into_iter().map(|step| match step {
            Instruction::Seed(place) => Instruction::Seed(real(place)),
            Instruction::Pullback { value, cotangent, into } => Instruction::Pullback {
                value,
                cotangent: real(cotangent),
                into: into.into_iter().map(|t| t.map(|t| Target { place: real(t.place), add: t.add })).collect(),
            },
            other => other,
        });
        Program {
            batch: self.batch,
            arena,
            steps: steps.collect(),
            places: self
                .values
                .iter()
                .map(|b| b.map(|b| Place { offset: offsets[b], len: self.buffers[b].len }))
                .collect(),
            gradients: gradients.into_iter().map(|(path, place)| (path, real(place))).collect(),
        }
    }

    /// The backward program, and the gradients it leaves for the optimizer.
    fn reverse(&mut self, objective: ValueId, needed: &[bool]) -> IndexMap<String, Place> {
        let graph = self.graph;
        let mut gradients: Vec<Option<usize>> = vec![None; graph.values.len()];
        if graph.value(objective).taped {
            let seed = self.buffer(objective);
            gradients[objective.0] = Some(seed);
            self.steps.push(Instruction::Seed(self.place(seed)));
        }
        for id in graph.ids().rev().filter(|id| needed[id.0]).collect::<Vec<_>>() {
            let (Definition::Op { op, inputs }, Some(cotangent)) = (&graph.value(id).definition, gradients[id.0])
            else {
                continue;
            };
            let reads = Needs::of(op, inputs.len());
            let mut into = vec![];
            for (i, input) in inputs.iter().enumerate() {
                if reads.inputs[i]
                    && let Some(buffer) = self.values[input.0]
                {
                    self.touch(buffer);
                }
                into.push(graph.value(*input).taped.then(|| {
                    let add = gradients[input.0].is_some();
                    let buffer = *gradients[input.0].get_or_insert_with(|| self.buffer(*input));
                    self.touch(buffer);
                    Target { place: self.place(buffer), add }
                }));
            }
            if reads.output
                && let Some(buffer) = self.values[id.0]
            {
                self.touch(buffer);
            }
            self.touch(cotangent);
            let cotangent = self.place(cotangent);
            self.steps.push(Instruction::Pullback { value: id, cotangent, into });
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
}

/// Numbers in a cache line: places begin at its multiples, so that kernels meet aligned rows.
const ALIGN: usize = 16;

/// Offsets for buffers such that none that live at one time overlap, and the length of the arena. The largest first, each at
/// the lowest place that is free for its whole life.
fn assign(buffers: &[Buffer]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].len), buffers[i].first, i));
    let mut offsets = vec![0; buffers.len()];
    let mut placed: Vec<usize> = vec![];
    let mut arena = 0;
    for i in order {
        let buffer = buffers[i];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| buffers[j].first <= buffer.last && buffer.first <= buffers[j].last)
            .map(|&j| (offsets[j], offsets[j] + buffers[j].len.next_multiple_of(ALIGN)))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if offset + buffer.len <= start {
                break;
            }
            offset = offset.max(end);
        }
        offsets[i] = offset;
        placed.push(i);
        arena = arena.max(offset + buffer.len);
    }
    (offsets, arena)
}
