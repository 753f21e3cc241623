//! What a program keeps of weights alone, beside its arena: constants of the graph, and what kernels prepare of weights that do not
//! move. The engine takes that memory when a program is made ready, and fills it whenever a weight below has changed.

use super::program::{Instruction, Operand, Program};
use crate::graph::{Definition, Graph, ValueId, Winograd};
use crate::kernels::cpu::{self, Shapes};
use std::ops::Range;

/// The shapes of a value's call.
pub fn shapes(graph: &Graph, value: ValueId, batch: usize, trains: bool) -> Shapes {
    let result = graph.value(value);
    let inputs = result.inputs();
    Shapes {
        inputs: inputs.iter().map(|&i| graph.value(i).ty.at(batch)).collect(),
        output: result.ty.at(batch),
        channels_last: result.channels_last || inputs.iter().any(|&i| graph.value(i).channels_last),
        trains,
        winograd: if trains { graph.winograd } else { Winograd::F4 }.tile(),
    }
}

/// How many numbers the kernel of a value has prepared of input `i`, if it reads a weight there that does not move, and not as it is.
pub fn prepared(
    graph: &Graph,
    value: ValueId,
    i: usize,
    operand: &Operand,
    shapes: &Shapes,
    batch: usize,
) -> Option<usize> {
    let (Operand::Given(of), Definition::Op { op, .. }) = (operand, &graph.value(value).definition) else {
        return None;
    };
    if batch == 0 || !graph.is_fixed(*of) {
        return None;
    }
    cpu::find(op)?.prepared_len(i, shapes)
}

/// Numbers that a program keeps of weights, in all.
pub fn kept(graph: &Graph, program: &Program, trains: bool) -> u64 {
    let constants = program.constants.iter().map(|id| graph.value(*id).ty.elements(1) as u64);
    let of_step = |step: &Instruction| {
        // What is prepared for the first slice of a batch serves the others.
        let Instruction::Compute { value, rows: rows @ Range { start: 0, .. }, inputs, .. } = step else { return 0 };
        let shapes = shapes(graph, *value, rows.len(), trains);
        let lens = inputs.iter().enumerate().filter_map(|(i, o)| prepared(graph, *value, i, o, &shapes, rows.len()));
        lens.map(|len| len as u64).sum::<u64>()
    };
    constants.sum::<u64>() + program.steps.iter().map(of_step).sum::<u64>()
}
