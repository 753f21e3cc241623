//! safetensors: a header in JSON with names, shapes and places, and the numbers behind it.
//! <https://huggingface.co/docs/safetensors>

use super::{Contents, Format, Room, Tensor, damaged};
use crate::base::Result;
use crate::weights::DType;
use ::safetensors::tensor::{Dtype, SafeTensors};
use std::path::Path;

pub static FORMAT: Format = Format {
    name: "safetensors",
    summary: "named tensors behind a header in JSON",
    detects: |bytes| bytes.get(8) == Some(&b'{'),
    read,
};

fn read(bytes: &[u8], _: &Path) -> Result<Contents> {
    let broken = |e| damaged(format!("this is no whole safetensors file: {e}"));
    let (start, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let numbers = &bytes[(start + 8).min(bytes.len())..];
    let mut room = Room::of(bytes.len());
    let mut tensors = vec![];
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let (from, to) = info.data_offsets;
        let (dims, dtype) = (info.shape.clone(), dtype(info.dtype));
        let view = numbers.get(from..to).ok_or_else(|| damaged("this is no whole safetensors file"))?;
        let mut data = Vec::with_capacity(room.take(&name, &dims, dtype)?);
        let data = dtype.append(view, &mut data).then_some(data);
        tensors.push(Tensor { name, dims, dtype, data });
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok(Contents { tensors, metadata, ..Contents::default() })
}

fn dtype(dtype: Dtype) -> DType {
    match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool,
        Dtype::C64 => DType::Other("complex64", 64),
        Dtype::F8_E4M3 => DType::Other("f8_e4m3", 8),
        Dtype::F8_E5M2 => DType::Other("f8_e5m2", 8),
        other => DType::Other("a type that is not read", other.bitsize()),
    }
}
