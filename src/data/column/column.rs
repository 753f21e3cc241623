//! `column`: one column of a table, or one array.

use super::{ColumnKind, named};
use crate::base::signature::{Kind, Param, PartKind, Signature};

pub static PART: ColumnKind = ColumnKind {
    signature: &Signature {
        name: "column",
        kind: PartKind::Column,
        summary: "one column of a table, by its name",
        params: &[Param::required("name", Kind::Text, "the name in the header, the key, or the array")],
    },
    sources: &["csv", "jsonl", "npz", "agreement"],
    select: |call, selection| {
        let span = call.args.span("name").unwrap_or(call.span);
        named(call.args.text("name"), span, selection.table).map(|name| vec![name])
    },
};
