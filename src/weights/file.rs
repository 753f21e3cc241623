//! A file of weights: read in whatever format it has, written as safetensors.

use super::formats::{Contents, FORMATS};
use super::{Array, DType};
use crate::base::{Diagnostic, Diagnostics, Result};
use crate::files::write_atomically;
use indexmap::IndexMap;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;

/// The tensors of a file of weights, all as 32-bit floats.
#[derive(Debug)]
pub struct TensorFile {
    pub name: String,
    /// The name of its format, as in [`FORMATS`].
    pub format: &'static str,
    /// SHA-256 over the file, and over its shards in the order of their names.
    pub sha256: String,
    /// In the order of the file.
    pub tensors: IndexMap<String, Array>,
    /// All that the file has, what is no parameter included.
    pub entries: Vec<Entry>,
    pub metadata: HashMap<String, String>,
    /// What was decided on the way, in words: which of several dictionaries was taken, say.
    pub notes: Vec<String>,
}

/// What a file says of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub name: String,
    pub dims: Vec<usize>,
    pub dtype: DType,
}

impl Entry {
    /// Whether the tensor can become a parameter; integers and the like cannot, and are left out.
    pub fn is_kept(&self) -> bool {
        self.dtype.is_float()
    }

    /// How many numbers it has. Empty tensors may claim any other size, so the product may be beyond all bounds.
    pub fn elements(&self) -> usize {
        self.dims.iter().fold(1, |n: usize, &d| n.saturating_mul(d))
    }
}

impl TensorFile {
    /// Reads a file of any format in [`FORMATS`]. Every fault of it is a diagnostic that names the file.
    pub fn read(path: &Path) -> Result<TensorFile> {
        let name = path.display().to_string();
        Self::parse(path).map_err(|mut wrong: Diagnostics| {
            wrong.0.iter_mut().filter(|d| d.place.is_none()).for_each(|d| d.place = Some(name.clone()));
            wrong
        })
    }

    fn parse(path: &Path) -> Result<TensorFile> {
        let bytes = bytes(path)?;
        let mut hash = Sha256::new_with_prefix(&bytes);
        let Some(format) = FORMATS.iter().find(|format| (format.detects)(&bytes)) else {
            let list: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
            let diagnostic = Diagnostic::error(match bytes.is_empty() {
                true => "this file of weights is empty",
                false => "this file of weights is in none of the formats that are read",
            });
            return Err(diagnostic.note(format!("the formats are {}", list.join(", "))).help(advice(&bytes)).into());
        };
        let contents = (format.read)(&bytes, path)?;
        for shard in &contents.shards {
            hash.update(shard);
        }
        let Contents { tensors, metadata, notes, .. } = contents;
        let mut file = TensorFile {
            name: path.display().to_string(),
            format: format.name,
            sha256: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            tensors: IndexMap::new(),
            entries: vec![],
            metadata,
            notes,
        };
        for tensor in tensors {
            file.entries.push(Entry { name: tensor.name.clone(), dims: tensor.dims.clone(), dtype: tensor.dtype });
            if let Some(data) = tensor.data {
                file.tensors.insert(tensor.name, Array { dims: tensor.dims, data });
            }
        }
        Ok(file)
    }
}

/// What a regular file holds. Others, such as devices, may have no end.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>> {
    crate::files::read(path).map_err(|e| {
        let why = match e.kind() {
            std::io::ErrorKind::NotFound => "there is no such file of weights".to_string(),
            std::io::ErrorKind::IsADirectory => "this is a folder, and no file of weights".into(),
            _ => format!("cannot read the weights: {}", crate::files::reason(&e)),
        };
        Diagnostic::error(why).place(path.display().to_string()).into()
    })
}

/// What to do about a file in a foreign format.
fn advice(bytes: &[u8]) -> &'static str {
    if bytes.starts_with(b"\x93NUMPY") {
        "this is a single array of NumPy, which has no name: write it with `numpy.savez`, with a name for each array"
    } else if bytes.get(257..262) == Some(b"ustar") {
        "this looks like a tar archive, as PyTorch wrote before 0.1.10: load it with PyTorch and save it again"
    } else if bytes.starts_with(b"\x89HDF") {
        "this looks like HDF5, as Keras writes: convert it to safetensors"
    } else if bytes.starts_with(b"GGUF") {
        "this looks like GGUF: take the safetensors files that it was made from"
    } else {
        "it was cut short, or is in another format: convert it to safetensors"
    }
}

/// Writes tensors to a safetensors file under a temporary name, then gives it its own.
pub fn write_tensors<'a>(
    path: &Path,
    tensors: impl Iterator<Item = (String, &'a Array)>,
    metadata: HashMap<String, String>,
) -> Result<()> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .map(|(name, a)| (name, a.dims.clone(), a.data.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, dims, data)| {
        (name.as_str(), TensorView::new(Dtype::F32, dims.clone(), data).expect("the data fill their shape"))
    });
    let data = safetensors::serialize(views, Some(metadata)).expect("names, shapes and data are consistent");
    write_atomically(path, &data)
}
