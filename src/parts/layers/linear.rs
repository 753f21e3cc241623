//! `linear(out)`: a matrix product and a bias over the last axis.

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops;
use crate::ops::Mismatch;
use crate::parts::adapters::lora;
use crate::parts::cell::{Cell, Fault, fan_in};

pub struct Linear;

/// The `bias` argument of everything that has weights and may have a bias; [`has_bias`] reads it.
pub const BIAS: Param = Param::with(
    "bias",
    Kind::Either(&[Kind::Flag, Kind::Word(&["auto"])]),
    "auto",
    "`auto`: unless a norm over the batch follows",
);

static SIGNATURE: Signature = Signature {
    name: "linear",
    kind: PartKind::Layer,
    summary: "matrix product and bias: `[in]` to `[out]`, or each token of `[tokens, in]`",
    params: &[Param::required("out", Kind::Count, "width of the result"), BIAS],
};

/// Resolves `bias: auto`: a norm over the batch behind the layer would take the bias away again. One over the features of each
/// token would not, and that is what `norm` is behind tokens.
pub fn has_bias(cell: &Cell<'_>) -> bool {
    match cell.args.get("bias").map(|arg| &arg.value) {
        Some(crate::base::signature::Value::Flag(flag)) => *flag,
        _ => !cell.before_norm,
    }
}

impl Layer for Linear {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "linear"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let ty = cell.ty(x);
        let (rank, out) = (ty.inner().len(), cell.args.size("out"));
        if !(1..=2).contains(&rank) {
            let message = format!("`linear` takes a vector or a sequence of vectors, and gets {}", ty.example());
            return Err(Mismatch::new(message).help("put `global_pool` or `flatten` before it").into());
        }
        let auto = !matches!(cell.args.get("bias").map(|arg| &arg.value), Some(crate::base::signature::Value::Flag(_)));
        let bias = has_bias(cell) || (auto && rank == 2);
        product(cell, "", x, out, bias)
    }
}

/// `x` times the weight `[out, width]` under that prefix, and its bias; adapted where the layer is.
pub fn product(cell: &mut Cell<'_>, name: &str, x: ValueId, out: usize, bias: bool) -> Result<ValueId, Fault> {
    let width = *cell.ty(x).inner().last().expect("the caller has checked the rank");
    let weight = cell.weight(&format!("{name}weight"), &[out, width], fan_in(width));
    let bias = bias.then(|| cell.weight(&format!("{name}bias"), &[out], fan_in(width)));
    let (weight, branch) = lora::adapt(cell, name, x, weight)?;
    let inputs: Vec<ValueId> = [x, weight].into_iter().chain(bias).collect();
    let y = cell.op(ops::linear::Linear { bias: bias.is_some(), ..Default::default() }, &inputs)?;
    let Some(branch) = branch else { return Ok(y) };
    let low = cell.op(ops::linear::Linear::default(), &[branch.x, branch.a])?;
    let high = cell.op(ops::linear::Linear::default(), &[low, branch.b])?;
    cell.op(ops::add::Add {}, &[y, high])
}
