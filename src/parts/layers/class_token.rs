//! `class_token` and `first_token`: a learned token in front of a sequence, and the vector of the first token behind it.

use super::Layer;
use crate::base::Type;
use crate::base::signature::{PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct ClassToken;
pub struct FirstToken;

static CLASS_TOKEN: Signature = Signature {
    name: "class_token",
    kind: PartKind::Layer,
    summary: "a learned vector in front of a sequence: `[tokens, width]` to `[tokens + 1, width]`",
    params: &[],
};

static FIRST_TOKEN: Signature = Signature {
    name: "first_token",
    kind: PartKind::Layer,
    summary: "the vector of the first token, such as a class token: `[tokens, width]` to `[width]`",
    params: &[],
};

/// Tokens and width of a sequence.
pub fn sequence(name: &str, ty: &Type) -> Result<[usize; 2], Mismatch> {
    <[usize; 2]>::try_from(ty.inner())
        .map_err(|_| Mismatch::new(format!("`{name}` takes tokens [tokens, width], and gets {}", ty.example())))
}

impl Layer for ClassToken {
    fn signature(&self) -> &'static Signature {
        &CLASS_TOKEN
    }

    fn kind(&self) -> &'static str {
        "embedding"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [_, width] = sequence("class_token", &cell.ty(x))?;
        if cell.graph.token_mask(x).is_some() {
            let message = "`class_token` takes sequences of one length, and gets padded ones";
            let help = "a text has its own first token, such as [CLS]: take it with `first_token`";
            return Err(Mismatch::new(message).help(help).into());
        }
        let token = cell.weight("weight", &[width], Init::Normal(0.02));
        cell.op(ops::prepend::Prepend {}, &[x, token])
    }
}

impl Layer for FirstToken {
    fn signature(&self) -> &'static Signature {
        &FIRST_TOKEN
    }

    fn kind(&self) -> &'static str {
        "pool"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [_, width] = sequence("first_token", &cell.ty(x))?;
        let first = cell.op(ops::slice::Slice { axis: 1, start: 0, end: 1 }, &[x])?;
        cell.op(ops::reshape::Reshape { dims: vec![width] }, &[first])
    }
}
