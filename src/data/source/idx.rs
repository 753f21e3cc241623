//! `idx`: images and labels in the format of MNIST and its kin; packed with gzip or not.
//!
//! Bytes: two zeros, the element type, the number of axes, each axis as a big-endian u32, then the elements, big-endian. The
//! file is exactly as long as its header says.

use super::{File, LIMIT, SEED, SPLIT, SourceKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::base::{Diagnostic, Result};
use crate::data::number::{Element, Numbers};
use crate::data::table::{Column, Store, Table};
use indexmap::IndexMap;
use sha2::Sha256;

pub static PART: SourceKind = SourceKind {
    signature: &Signature {
        name: "idx",
        kind: PartKind::Source,
        summary: "images and labels in the format of MNIST, also as .gz",
        params: &[
            Param::required("images", Kind::Text, "the file of images, [rows, height, width]"),
            Param::optional("labels", Kind::Text, "the file of labels, [rows]"),
            SPLIT,
            SEED,
            LIMIT,
        ],
    },
    paths: &["images", "labels"],
    read,
};

fn read(_: &Args, files: &[File], hash: &mut Sha256) -> Result<Table> {
    let Some((images, labels)) = files.split_first().filter(|(_, labels)| labels.len() <= 1) else {
        return Err(Diagnostic::error("`idx` reads one file of images and one of labels").into());
    };
    let mut columns = IndexMap::new();
    let (dims, numbers) = load(images, hash)?;
    let inner = match dims[1..] {
        [height, width] => vec![1, height, width],
        [channels, height, width] => vec![channels, height, width],
        _ => {
            return Err(images
                .broken(format!("images have 3 axes, rows, height and width, and this file has shape {dims:?}"))
                .help("the file of images comes first, then the file of labels")
                .into());
        }
    };
    let rows = dims[0];
    let column = |file: &File, dims, store| Column { file: file.name.clone(), rows, dims, store, classes: None };
    columns.insert("images".to_string(), column(images, inner, Store::Images(numbers)));
    if let [labels] = labels {
        let (dims, numbers) = load(labels, hash)?;
        if dims.len() != 1 || numbers.element.is_float() {
            let message = format!("labels are one integer a row, and this file has shape {dims:?}");
            return Err(labels.broken(message).help("the file of images comes first, then the file of labels").into());
        }
        if dims[0] != rows {
            return Err(labels
                .broken(format!("there are {} labels and {rows} images", dims[0]))
                .note(format!("the images are `{}`", images.name))
                .help("name the two files of one set, such as both `train-…`")
                .into());
        }
        columns.insert("labels".to_string(), column(labels, vec![1], Store::Numbers(numbers)));
    }
    Ok(Table { kind: "idx", name: images.name.clone(), columns, lines: vec![], folds: None })
}

/// Shape and elements of one file.
fn load(file: &File, hash: &mut Sha256) -> Result<(Vec<usize>, Numbers)> {
    let bytes = file.read_unpacked(hash)?;
    let not_idx = || file.broken("the file is not in idx format").help("an idx file starts with two zero bytes");
    let [0, 0, code, rank, ..] = bytes[..] else { return Err(not_idx().into()) };
    let element = match code {
        0x08 => Element::Unsigned(1),
        0x09 => Element::Signed(1),
        0x0b => Element::Signed(2),
        0x0c => Element::Signed(4),
        0x0d => Element::Float(4),
        0x0e => Element::Float(8),
        _ => return Err(not_idx().note(format!("its element type is {code:#04x}")).into()),
    };
    let start = 4 + 4 * usize::from(rank);
    let cut_short = |wanted: String| {
        file.broken("the length of the file is not what its header says")
            .note(format!("it has {} bytes, and its header asks for {wanted}", bytes.len()))
            .help("download or copy it again")
    };
    let Some(header) = bytes.get(4..start) else { return Err(cut_short(format!("at least {start}")).into()) };
    let dims: Vec<usize> =
        header.chunks_exact(4).map(|axis| u32::from_be_bytes([axis[0], axis[1], axis[2], axis[3]]) as usize).collect();
    let wanted =
        dims.iter().try_fold(element.size_bytes(), |size, &n| size.checked_mul(n)).and_then(|n| n.checked_add(start));
    if rank == 0 || wanted != Some(bytes.len()) {
        return Err(cut_short(wanted.map_or("more than there can be".into(), |n| n.to_string())).into());
    }
    if dims.contains(&0) {
        return Err(file.broken(format!("the file has no elements: its shape is {dims:?}")).into());
    }
    Ok((dims, Numbers::new(element, true, bytes, start)))
}
