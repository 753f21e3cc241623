//! `attention(heads)`: multi-head self-attention over tokens.
//!
//! `softmax(Q Kᵀ / √d) V` per head, with Q, K, V linear in the tokens, and a linear layer behind (Vaswani et al. 2017,
//! arXiv 1706.03762). Tokens that are padding get no weight.

use super::{Layer, linear};
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct Attention;

static SIGNATURE: Signature = Signature {
    name: "attention",
    kind: PartKind::Layer,
    summary: "multi-head self-attention over tokens `[tokens, width]`",
    params: &[Param::required("heads", Kind::Count, "number of heads; must divide the width")],
};

impl Layer for Attention {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "attention"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let heads = cell.args.size("heads");
        build(cell, x, heads)
    }
}

pub fn build(cell: &mut Cell<'_>, x: ValueId, heads: usize) -> Result<ValueId, Fault> {
    let ty = cell.ty(x);
    let [_, width] = ty.inner()[..] else {
        return Err(
            Mismatch::new(format!("`attention` takes tokens [tokens, width], and gets {}", ty.example())).into()
        );
    };
    if width % heads != 0 {
        let fit: Vec<String> = (1..=16).filter(|n| width % n == 0).map(|n| n.to_string()).collect();
        return Err(Mismatch::new(format!("{heads} heads do not divide the width {width}"))
            .help(format!("heads that do: {}", fit.join(", ")))
            .into());
    }
    let query = project(cell, "query", x, width)?;
    let key = project(cell, "key", x, width)?;
    let value = project(cell, "value", x, width)?;
    let mut inputs = vec![query, key, value];
    inputs.extend(cell.graph.token_mask(x));
    let mixed = cell.op(ops::attention::Attention { heads }, &inputs)?;
    project(cell, "output", mixed, width)
}

/// A linear layer inside: weight and bias `name.weight`, `name.bias`.
pub fn project(cell: &mut Cell<'_>, name: &str, x: ValueId, out: usize) -> Result<ValueId, Fault> {
    linear::product(cell, &format!("{name}."), x, out, true)
}
