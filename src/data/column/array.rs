//! `array`: one array of an npz file.

use super::{ColumnKind, named};
use crate::base::signature::{Kind, Param, PartKind, Signature};

pub static PART: ColumnKind = ColumnKind {
    signature: &Signature {
        name: "array",
        kind: PartKind::Column,
        summary: "one array of an npz file, by its name; the first axis counts the rows",
        params: &[Param::required("name", Kind::Text, "the name it was saved under")],
    },
    sources: &["npz"],
    select: |call, selection| {
        let span = call.args.span("name").unwrap_or(call.span);
        named(call.args.text("name"), span, selection.table).map(|name| vec![name])
    },
};
