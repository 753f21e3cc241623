//! npz: named arrays as NumPy's `savez` writes them, of either byte order and either axis order.

use super::archive::{self, Archive};
use super::{Contents, Format, Room, Tensor, damaged};
use crate::base::Result;
use crate::weights::npy::data_start;
use crate::weights::{DType, shown};
use npyz::{DType as NpyType, Endianness, NpyHeader, Order, TypeChar};
use std::path::Path;

pub static FORMAT: Format = Format {
    name: "npz",
    summary: "named arrays of NumPy in a zip archive",
    detects: |bytes| archive::has(bytes, ".npy"),
    read,
};

fn read(bytes: &[u8], _: &Path) -> Result<Contents> {
    let mut archive = Archive::open(bytes)?;
    let names: Vec<&str> = archive.entries.keys().copied().collect();
    let mut room = Room::of(bytes.len());
    let mut contents = Contents::default();
    for entry in names {
        let Some(name) = entry.strip_suffix(".npy") else { continue };
        let Some(array) = archive.entry(entry)? else { continue };
        contents.tensors.push(tensor(name, &array, &mut room)?);
    }
    Ok(contents)
}

fn tensor(name: &str, bytes: &[u8], room: &mut Room) -> Result<Tensor> {
    let broken = || damaged(format!("the array `{}` is damaged or cut short", shown(name)));
    let start = data_start(bytes).ok_or_else(broken)?;
    let header = NpyHeader::from_reader(&bytes[..start]).map_err(|_| broken())?;
    let dims: Vec<usize> = header.shape().iter().map(|&n| n as usize).collect();
    let dtype = dtype(&header.dtype());
    let elements = room.take(name, &dims, dtype)?;
    if !dtype.is_float() {
        return Ok(Tensor { name: name.into(), dims, dtype, data: None });
    }
    let size = dtype.bits() / 8;
    if bytes.len() - start != elements * size {
        return Err(broken().into());
    }
    let mut data = Vec::with_capacity(elements);
    if matches!(header.dtype(), NpyType::Plain(plain) if plain.endianness() == Endianness::Big) {
        let mut numbers = bytes[start..].to_vec();
        numbers.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        dtype.append(&numbers, &mut data);
    } else {
        dtype.append(&bytes[start..], &mut data);
    }
    if header.order() == Order::Fortran {
        data = row_major(&data, &dims);
    }
    Ok(Tensor { name: name.into(), dims, dtype, data: Some(data) })
}

fn dtype(dtype: &NpyType) -> DType {
    const OTHER: DType = DType::Other("a type that is not read", 0);
    let NpyType::Plain(plain) = dtype else { return OTHER };
    match (plain.type_char(), plain.size_field()) {
        (TypeChar::Float, 8) => DType::F64,
        (TypeChar::Float, 4) => DType::F32,
        (TypeChar::Float, 2) => DType::F16,
        (TypeChar::Int, 8) => DType::I64,
        (TypeChar::Int, 4) => DType::I32,
        (TypeChar::Int, 2) => DType::I16,
        (TypeChar::Int, 1) => DType::I8,
        (TypeChar::Uint, 8) => DType::U64,
        (TypeChar::Uint, 4) => DType::U32,
        (TypeChar::Uint, 2) => DType::U16,
        (TypeChar::Uint, 1) => DType::U8,
        (TypeChar::Bool, 1) => DType::Bool,
        _ => OTHER,
    }
}

/// The same numbers with axes reversed: from Fortran's order, first axis fastest, to C's.
fn row_major(data: &[f32], dims: &[usize]) -> Vec<f32> {
    let strides = dims.iter().scan(1, |step, &n| Some(std::mem::replace(step, *step * n.max(1)))).collect::<Vec<_>>();
    super::strided::walk(dims, &strides).map(|at| data[at]).collect()
}
