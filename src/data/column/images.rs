//! `images`: the images of an idx, folder or drawn source, `f32[channels, height, width]` from 0 to 255.

use super::{ColumnKind, fixed};
use crate::base::signature::{PartKind, Signature};

pub static PART: ColumnKind = ColumnKind {
    signature: &Signature {
        name: "images",
        kind: PartKind::Column,
        summary: "the images of an idx, folder or drawn source, f32[channels, height, width] from 0 to 255",
        params: &[],
    },
    sources: &["idx", "folder", "driving", "lesions"],
    select: |call, selection| fixed("images", "name the file of images", call, selection.table),
};
