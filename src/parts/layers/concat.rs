//! `concat(a, b, …)`: several branches from one input, their results side by side.

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature, Value};
use crate::graph::ValueId;
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct Concat;

static SIGNATURE: Signature = Signature {
    name: "concat",
    kind: PartKind::Layer,
    summary: "several branches on the same input, joined along the channels, or along the features of a vector or of tokens",
    params: &[Param::required("branches", Kind::Rest(&Kind::Chain), "the branches")],
};

impl Layer for Concat {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "concat"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let mut results = vec![];
        for branch in cell.args.list("branches") {
            let Value::Chain(index) = branch.value else { unreachable!("bound as a chain") };
            results.push(cell.host.chain(cell.graph, index, x)?);
        }
        join(cell, &results)
    }
}

/// Puts values side by side along their feature axis.
pub fn join(cell: &mut Cell<'_>, values: &[ValueId]) -> Result<ValueId, Fault> {
    let axis = if cell.ty(values[0]).rank() == 3 { 2 } else { 1 };
    cell.op(ops::concat::Concat { axis }, values).map_err(|fault| match fault {
        Fault::Mismatch(_) => {
            let shapes: Vec<String> = values.iter().map(|&v| cell.ty(v).example()).collect();
            Mismatch::new(format!("branches of {} cannot stand side by side", shapes.join(" and ")))
                .help("branches may differ in channels only, or in the width of a vector or of tokens")
                .into()
        }
        Fault::Reported => Fault::Reported,
    })
}
