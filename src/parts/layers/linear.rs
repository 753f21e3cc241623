//! `linear(out)`: a matrix product and a bias over the last axis.

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops;
use crate::ops::Mismatch;
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
        let width = match ty.inner().last() {
            Some(&width) if rank <= 2 => width,
            _ => {
                return Err(Mismatch::new(format!(
                    "`linear` takes a vector or a sequence of vectors, and gets {}",
                    ty.example()
                ))
                .help("put `global_pool` or `flatten` before it")
                .into());
            }
        };
        let auto = !matches!(cell.args.get("bias").map(|arg| &arg.value), Some(crate::base::signature::Value::Flag(_)));
        let bias = has_bias(cell) || (auto && rank == 2);
        let mut inputs = vec![x, cell.weight("weight", &[out, width], fan_in(width))];
        if bias {
            inputs.push(cell.weight("bias", &[out], fan_in(width)));
        }
        cell.op(ops::linear::Linear { bias, ..Default::default() }, &inputs)
    }
}
