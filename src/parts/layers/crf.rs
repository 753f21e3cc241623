//! `crf`: scores of what label follows what, for the loss `crf` (Lafferty et al. 2001; Lample et al. 2016, arXiv 1603.01360).

use super::Layer;
use super::class_token::sequence;
use crate::base::signature::{PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops;
use crate::parts::cell::{Cell, Fault};

pub struct Crf;

static SIGNATURE: Signature = Signature {
    name: "crf",
    kind: PartKind::Layer,
    summary: "scores of chains of labels, for the loss `crf`: `[tokens, n]` to `[tokens, n · (n + 2)]`",
    params: &[],
};

impl Layer for Crf {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "crf"
    }

    /// Names, shapes and first values of the parameters are those of `pytorch-crf`.
    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [_, labels] = sequence("crf", &cell.ty(x))?;
        let small = Init::Uniform(0.1);
        let transitions = cell.weight("transitions", &[labels, labels], small);
        let start = cell.weight("start_transitions", &[labels], small);
        let end = cell.weight("end_transitions", &[labels], small);
        cell.op(ops::potentials::Potentials {}, &[x, transitions, start, end])
    }
}
