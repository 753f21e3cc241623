//! `labels`: the labels of an idx source, or the folder names of a folder source.

use super::{ColumnKind, fixed};
use crate::base::signature::{PartKind, Signature};

pub static PART: ColumnKind = ColumnKind {
    signature: &Signature {
        name: "labels",
        kind: PartKind::Column,
        summary: "the labels of an idx source, or for a folder source the name of each image's folder",
        params: &[],
    },
    sources: &["idx", "folder"],
    select: |call, selection| {
        let help = "an idx source takes a file of labels second; a folder source has one sub-folder a class";
        fixed("labels", help, call, selection.table)
    },
};
