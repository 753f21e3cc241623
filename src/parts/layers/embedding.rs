//! `embedding(vocabulary, width)`: a vector for each token id.

use super::Layer;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops;
use crate::parts::cell::{Cell, Fault};

pub struct Embedding;

static SIGNATURE: Signature = Signature {
    name: "embedding",
    kind: PartKind::Layer,
    summary: "a learned vector for each token: `tokens[n]` to `[n, width]`",
    params: &[
        Param::required("vocabulary", Kind::Count, "number of different tokens; ids run from 0"),
        Param::required("width", Kind::Count, "size of a vector"),
        Param::optional(
            "padding",
            Kind::Whole,
            "the id that fills up short sequences; `attention` and `mean_tokens` then pass over it",
        ),
    ],
};

impl Layer for Embedding {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "embedding"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let dims = [cell.args.size("vocabulary"), cell.args.size("width")];
        let weight = cell.weight("weight", &dims, Init::Normal(1.0));
        let y = cell.op(ops::embedding::Embedding {}, &[x, weight])?;
        if cell.args.has("padding") {
            let mask = cell.op(ops::present::Present { absent: cell.args.int("padding") }, &[x])?;
            cell.graph.set_token_mask(y, mask);
        }
        Ok(y)
    }
}
