//! `npz`: named arrays as NumPy's `savez` writes them; the first axis of an array counts the rows.
//!
//! Integers, floats of 2, 4 or 8 bytes and booleans, of either byte order and either axis order, are kept in their own type.
//! Sizes that a header declares are checked against the bytes that are there before anything is allocated for them.

use super::{File, LIMIT, PATH, SEED, SPLIT, SourceKind};
use crate::base::Result;
use crate::base::signature::{Args, PartKind, Signature};
use crate::data::number::{Element, Numbers};
use crate::data::table::{Column, Store, Table};
use crate::weights::npy::data_start;
use indexmap::IndexMap;
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};
use sha2::Sha256;
use std::io::{Cursor, Read};
use zip::ZipArchive;

pub static PART: SourceKind = SourceKind {
    signature: &Signature {
        name: "npz",
        kind: PartKind::Source,
        summary: "named arrays of NumPy; the first axis counts the rows; NaN (or -1 for a class) is a missing label",
        params: &[PATH, SPLIT, SEED, LIMIT],
    },
    paths: &["path"],
    read,
};

fn read(_: &Args, files: &[File], hash: &mut Sha256) -> Result<Table> {
    let [file] = files else {
        return Err(crate::base::Diagnostic::error("`npz` reads one file at a time").into());
    };
    let bytes = file.read(hash)?;
    let damaged = |what: &str| file.broken(what.to_string()).help("write it with `numpy.savez`, or copy it again");
    let mut archive =
        ZipArchive::new(Cursor::new(&bytes)).map_err(|_| damaged("the file is no npz archive, or cut short"))?;
    let mut columns = IndexMap::new();
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).map_err(|_| damaged("the npz archive is damaged"))?;
        let Some(name) = entry.name().strip_suffix(".npy").map(str::to_string) else { continue };
        let mut array = vec![];
        entry.read_to_end(&mut array).map_err(|_| damaged(&format!("array `{name}` is damaged or cut short")))?;
        let column = match parse(array) {
            Ok((rows, dims, numbers)) => (rows, dims, Store::Numbers(numbers)),
            Err(Trouble::Unusable(why)) => (0, vec![1], Store::Unusable(why)),
            Err(Trouble::Damaged) => return Err(damaged(&format!("array `{name}` is damaged or cut short")).into()),
        };
        let (rows, dims, store) = column;
        columns.insert(name, Column { file: file.name.clone(), rows, dims, store, classes: None });
    }
    if columns.is_empty() {
        return Err(damaged("the archive has no arrays").into());
    }
    Ok(Table { kind: "npz", name: file.name.clone(), columns, lines: vec![], folds: None })
}

enum Trouble {
    Damaged,
    /// A sound array that holds no numbers, or no rows.
    Unusable(String),
}

/// Rows, sizes of one row, and the numbers of an npy file.
fn parse(bytes: Vec<u8>) -> std::result::Result<(usize, Vec<usize>, Numbers), Trouble> {
    let start = data_start(&bytes).ok_or(Trouble::Damaged)?;
    let header = NpyHeader::from_reader(&bytes[..start]).map_err(|_| Trouble::Damaged)?;
    let unusable =
        |dtype: String| Trouble::Unusable(format!("holds {dtype}, and only numbers and booleans can be read"));
    let plain = match header.dtype() {
        DType::Plain(plain) => plain,
        other => return Err(unusable(other.descr())),
    };
    let element = match (plain.type_char(), plain.size_field() as usize) {
        (TypeChar::Bool, 1) => Element::Bool,
        (TypeChar::Int, size @ (1 | 2 | 4 | 8)) => Element::Signed(size),
        (TypeChar::Uint, size @ (1 | 2 | 4 | 8)) => Element::Unsigned(size),
        (TypeChar::Float, size @ (2 | 4 | 8)) => Element::Float(size),
        _ => return Err(unusable(format!("`{plain}`"))),
    };
    let shape: Vec<usize> = header.shape().iter().map(|&n| n as usize).collect();
    let count = shape.iter().product::<usize>();
    if bytes.len() - start != count * element.size_bytes() {
        return Err(Trouble::Damaged);
    }
    let Some((&rows, inner)) = shape.split_first() else {
        return Err(Trouble::Unusable("holds a single number, and the first axis has to count the rows".into()));
    };
    if inner.contains(&0) {
        return Err(Trouble::Unusable(format!("holds no values: its shape is {shape:?}")));
    }
    let big = plain.endianness() == Endianness::Big;
    let mut numbers = Numbers::new(element, big, bytes, start);
    if header.order() == Order::Fortran {
        numbers = numbers.reordered(&shape);
    }
    let inner = if inner.is_empty() { vec![1] } else { inner.to_vec() };
    Ok((rows, inner, numbers))
}
