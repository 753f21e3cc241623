//! `array`: one array of an npz file, or of a source that draws its rows.

use super::{ColumnKind, named};
use crate::base::signature::{Kind, Param, PartKind, Signature};

pub static PART: ColumnKind = ColumnKind {
    signature: &Signature {
        name: "array",
        kind: PartKind::Column,
        summary: "one array of an npz file or of a drawn source, by its name",
        params: &[Param::required("name", Kind::Text, "the name it was saved under, or that the source gives it")],
    },
    sources: &["npz", "driving", "lesions"],
    select: |call, selection| {
        let span = call.args.span("name").unwrap_or(call.span);
        named(call.args.text("name"), span, selection.table).map(|name| vec![name])
    },
};
