//! What follows from weights alone: constants of the graph, and what kernels prepare of weights that do not move.
//!
//! Both are computed when a weight below them has another stamp than before, and not in between.

use super::call::definition;
use crate::engine::Weights;
use crate::engine::weights::Stamp;
use crate::graph::{Definition, Graph, Leaf, ValueId};
use crate::kernels::cpu::arena::Block;
use crate::kernels::cpu::{self, Input, Kernel, Shapes};
use crate::ops::Value;
use crate::plan::fixed::shapes;

pub struct Fixed<'g> {
    constants: Vec<Constant>,
    prepared: Vec<Prepared<'g>>,
    /// The newest stamp of the weights that all this follows from.
    seen: Stamp,
}

struct Constant {
    value: ValueId,
    numbers: Block,
}

/// Something that a kernel makes of one of its inputs.
struct Prepared<'g> {
    kernel: &'g dyn Kernel,
    /// Whose input it is, and which.
    reader: (ValueId, usize),
    of: ValueId,
    shapes: Shapes,
    numbers: Block,
    below: Vec<(&'g str, Stamp)>,
}

impl<'g> Fixed<'g> {
    pub fn new(graph: &'g Graph, constants: &[ValueId]) -> Self {
        let constant = |&value: &ValueId| Constant { value, numbers: Block::of(graph.value(value).ty.elements(1)) };
        Self { constants: constants.iter().map(constant).collect(), prepared: vec![], seen: 0 }
    }

    /// Has an input of a kernel prepared from now on, as `len` numbers; gives the number of what is prepared. `reader` says whose input
    /// it is, and which. What is prepared for one slice of a batch serves the others, which have the same shapes.
    pub fn prepare(
        &mut self,
        graph: &'g Graph,
        kernel: &'g dyn Kernel,
        reader: (ValueId, usize),
        of: ValueId,
        shapes: &Shapes,
        len: usize,
    ) -> usize {
        if let Some(there) = self.prepared.iter().position(|p| p.reader == reader) {
            return there;
        }
        let mut below = vec![];
        parameters(graph, of, &mut below);
        let below = below.into_iter().map(|path| (path, 0)).collect();
        self.prepared.push(Prepared { kernel, reader, of, shapes: shapes.clone(), numbers: Block::of(len), below });
        self.prepared.len() - 1
    }

    /// Brings everything up to these weights.
    pub fn refresh(&mut self, graph: &Graph, weights: &Weights) {
        if self.seen == weights.newest() {
            return;
        }
        self.seen = weights.newest();
        let stale = |p: &Prepared| p.below.iter().any(|(path, stamp)| weights.stamp(path) != *stamp);
        // Constants are few and small beside what is prepared of them; they are computed whenever anything is.
        if !self.constants.is_empty() {
            self.compute(graph, weights);
        }
        for i in 0..self.prepared.len() {
            if !stale(&self.prepared[i]) {
                continue;
            }
            let Prepared { kernel, reader, of, shapes, numbers, below } = &mut self.prepared[i];
            let weight = match &graph.value(*of).definition {
                Definition::Leaf(Leaf::Parameter(path)) => &weights.get(path).data,
                _ => find(&self.constants, *of),
            };
            kernel.prepare(reader.1, weight, shapes, numbers.as_mut_slice());
            below.iter_mut().for_each(|(path, stamp)| *stamp = weights.stamp(path));
        }
    }

    fn compute(&mut self, graph: &Graph, weights: &Weights) {
        for i in 0..self.constants.len() {
            let (before, rest) = self.constants.split_at_mut(i);
            let constant = &mut rest[0];
            let (op, inputs) = definition(graph, constant.value);
            let numbers = |id: &ValueId| match &graph.value(*id).definition {
                Definition::Leaf(Leaf::Parameter(path)) => Input::Numbers(&weights.get(path).data),
                _ => Input::Numbers(find(before, *id)),
            };
            let inputs: Vec<Input> = inputs.iter().map(numbers).collect();
            let shapes = shapes(graph, constant.value, 1, false);
            match cpu::find(op) {
                Some(kernel) => kernel.forward(&inputs, &shapes, constant.numbers.as_mut_slice()),
                None => {
                    let values = inputs.iter().zip(&shapes.inputs);
                    let values = values.map(|(input, dims)| Value::from_vec(input.numbers().to_vec(), dims)).collect();
                    let ty = &graph.value(constant.value).ty;
                    let result = op.define::<dfdx::prelude::NoneTape>(values, ty, 1).to_vec();
                    constant.numbers.as_mut_slice().copy_from_slice(&result);
                }
            }
        }
    }

    /// The numbers of a constant.
    pub fn constant(&self, id: ValueId) -> &[f32] {
        find(&self.constants, id)
    }

    /// What the kernel prepared.
    pub fn prepared(&self, number: usize) -> &[f32] {
        self.prepared[number].numbers.as_slice()
    }

    /// Bytes of all this.
    pub fn bytes(&self) -> usize {
        let constants = self.constants.iter().map(|c| c.numbers.bytes());
        constants.chain(self.prepared.iter().map(|p| p.numbers.bytes())).sum()
    }
}

fn find(constants: &[Constant], id: ValueId) -> &[f32] {
    let found = constants.iter().find(|c| c.value == id);
    found.expect("a constant stands before its readers").numbers.as_slice()
}

/// The parameters that a fixed value follows from.
fn parameters<'g>(graph: &'g Graph, id: ValueId, found: &mut Vec<&'g str>) {
    match &graph.value(id).definition {
        Definition::Leaf(Leaf::Parameter(path)) => found.push(path),
        Definition::Leaf(_) => {}
        Definition::Op { inputs, .. } => inputs.iter().for_each(|&input| parameters(graph, input, found)),
    }
}
