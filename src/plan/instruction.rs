//! The instructions of a program: what each computes, for which rows, and where it reads and writes.

use crate::graph::ValueId;
use crate::kernels::cpu;
use crate::ops::Op;
use std::ops::Range;

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

/// Where an instruction finds a number array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    Place(Place),
    /// Brought by the batch or the weights, or constant: not in the arena.
    Given(ValueId),
    /// The kernel does not look at it.
    Unread,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Instruction {
    /// Draw the dropout mask of a leaf.
    Draw { value: ValueId, into: Place },
    /// Compute these rows of a value from those of its inputs; of what is given, these rows are read.
    Compute { value: ValueId, rows: Range<usize>, inputs: Vec<Operand>, into: Place },
    /// Make the gradient of an objective 1.
    Seed(Place),
    /// Hand the gradient of a value on to its inputs: for each the place of its gradient, if it is wanted.
    Pullback { value: ValueId, inputs: Vec<Operand>, output: Operand, cotangent: Place, into: Vec<Option<Target>> },
}

/// The gradient of an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    pub place: Place,
    /// Whether something is there already, to add to.
    pub add: bool,
}

impl Operand {
    /// The same, with another place for the place.
    pub(super) fn placed(&self, real: &dyn Fn(Place) -> Place) -> Operand {
        if let Operand::Place(place) = self { Operand::Place(real(*place)) } else { *self }
    }
}

impl Instruction {
    /// The same, with other places, and for other rows where some are named.
    pub(super) fn placed(&self, real: &dyn Fn(Place) -> Place, slice: Option<Range<usize>>) -> Instruction {
        let all = |operands: &[Operand]| operands.iter().map(|o| o.placed(real)).collect();
        match self {
            Instruction::Draw { value, into } => Instruction::Draw { value: *value, into: real(*into) },
            Instruction::Compute { value, rows, inputs, into } => Instruction::Compute {
                value: *value,
                rows: slice.unwrap_or(rows.clone()),
                inputs: all(inputs),
                into: real(*into),
            },
            Instruction::Seed(place) => Instruction::Seed(real(*place)),
            Instruction::Pullback { value, inputs, output, cotangent, into } => Instruction::Pullback {
                value: *value,
                inputs: all(inputs),
                output: output.placed(real),
                cotangent: real(*cotangent),
                into: into.iter().map(|t| t.map(|t| Target { place: real(t.place), add: t.add })).collect(),
            },
        }
    }
}
