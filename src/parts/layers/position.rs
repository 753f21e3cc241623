//! `position`: a learned vector for each place in a sequence, added to the token there.

use super::Layer;
use crate::base::signature::{PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct Position;

static SIGNATURE: Signature = Signature {
    name: "position",
    kind: PartKind::Layer,
    summary: "add a learned vector for each place of a sequence `[tokens, width]`",
    params: &[],
};

impl Layer for Position {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "embedding"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let ty = cell.ty(x);
        let [tokens, width] = ty.inner()[..] else {
            return Err(Mismatch::new(format!(
                "`position` takes a sequence [tokens, width], and gets {}",
                ty.example()
            ))
            .into());
        };
        let table = cell.weight("weight", &[tokens, width], Init::Normal(0.02));
        cell.op(ops::add::Add {}, &[x, table])
    }
}
