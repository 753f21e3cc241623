//! `position`: a learned vector for each place in a sequence, added to the token there.

use super::Layer;
use super::class_token::sequence;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault};

pub struct Position;

static SIGNATURE: Signature = Signature {
    name: "position",
    kind: PartKind::Layer,
    summary: "add a learned vector for each place of a sequence `[tokens, width]`",
    params: &[Param::optional(
        "most",
        Kind::Count,
        "places that are learned, when sequences may be shorter; by default as many as there are tokens",
    )],
};

impl Layer for Position {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "embedding"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [tokens, width] = sequence("position", &cell.ty(x))?;
        let most = cell.args.get("most").map_or(tokens, |_| cell.args.size("most"));
        if most < tokens {
            let message = format!("`position` has {most} places, and gets {tokens} tokens");
            return Err(Mismatch::new(message)
                .help(format!("sequences of at most {most} tokens, or more places"))
                .into());
        }
        let table = cell.weight("weight", &[most, width], Init::Normal(0.02));
        match most == tokens {
            true => cell.op(ops::add::Add {}, &[x, table]),
            false => cell.op(ops::add_rows::AddRows { row: None }, &[x, table]),
        }
    }
}
