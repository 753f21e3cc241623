//! `norm`: the usual norm for what it stands behind.

use super::{Layer, batch_norm, layer_norm};
use crate::base::signature::{PartKind, Signature};
use crate::graph::ValueId;
use crate::parts::cell::{Cell, Fault};

pub struct Norm;

static SIGNATURE: Signature = Signature {
    name: "norm",
    kind: PartKind::Layer,
    summary: "`batch_norm` behind a vector or a feature map, `layer_norm` behind tokens",
    params: &[],
};

impl Layer for Norm {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "norm"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        match cell.ty(x).inner().len() {
            2 => layer_norm::build(cell, x, 1e-5),
            _ => batch_norm::build(cell, x, batch_norm::EPSILON, batch_norm::MOMENTUM),
        }
    }
}
