//! The formats of files of weights: one file each, and one list.
//!
//! A reader takes the bytes of a file and gives its tensors in the file's order, or a diagnostic without a place, which the caller
//! knows. What a reader takes of memory is bounded by a small multiple of the bytes it was given: see [`Room`].

mod archive;
mod npz;
mod safetensors;
mod sharded;
mod strided;
mod torch;
mod torch_legacy;
mod torch_zip;

use super::{DType, shown};
use crate::base::{Diagnostic, Result};
use std::collections::HashMap;
use std::path::Path;

/// A way to keep weights in a file.
pub struct Format {
    pub name: &'static str,
    /// One sentence without a full stop.
    pub summary: &'static str,
    /// Whether a file that holds these bytes is of this format. Cheap: it looks at the first bytes, or at a list of contents.
    pub detects: fn(&[u8]) -> bool,
    /// Reads the bytes; the path is where files beside it are looked for.
    pub read: fn(&[u8], &Path) -> Result<Contents>,
}

/// Every format, in the order in which a file is tried against them.
pub static FORMATS: &[&Format] =
    &[&sharded::FORMAT, &safetensors::FORMAT, &torch_zip::FORMAT, &torch_legacy::FORMAT, &npz::FORMAT];

/// What a reader gives.
#[derive(Debug, Default)]
pub struct Contents {
    pub tensors: Vec<Tensor>,
    pub metadata: HashMap<String, String>,
    pub notes: Vec<String>,
    /// SHA-256 of the files that it read beside the first, in the order of their names.
    pub shards: Vec<String>,
}

/// A tensor of a file.
#[derive(Debug)]
pub struct Tensor {
    pub name: String,
    pub dims: Vec<usize>,
    pub dtype: DType,
    /// Row-major; nothing for what can be no parameter.
    pub data: Option<Vec<f32>>,
}

/// How many numbers may still come out of a file.
///
/// Tensors may share their memory, and axes may repeat it, so a file of a few bytes can claim any size. Four numbers for each byte
/// are more than honest files have, even if many names share a tensor.
pub struct Room(usize);

impl Room {
    pub fn of(bytes: usize) -> Room {
        Room(bytes.saturating_mul(4))
    }

    /// Takes the room of a tensor, and gives how many numbers it has to hold: none where it can be no parameter.
    pub fn take(&mut self, name: &str, dims: &[usize], dtype: DType) -> Result<usize> {
        let elements = match dtype.is_float() && !dims.contains(&0) {
            true => dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)),
            false => Some(0),
        };
        // The name and the sizes take room too, and many names may stand for one tensor.
        let own = 16 + 2 * dims.len();
        let left = elements.and_then(|n| self.0.checked_sub(n.checked_add(own)?));
        let (Some(elements), Some(left)) = (elements, left) else {
            let message = format!("the tensor `{}` {dims:?} has more numbers than the file can hold", shown(name));
            return Err(Diagnostic::error(message).help("the file is damaged, or was made to do harm").into());
        };
        self.0 = left;
        Ok(elements)
    }
}

/// A file that is not what it seems to be.
pub fn damaged(what: impl Into<String>) -> Diagnostic {
    Diagnostic::error(what).help("it was cut short or damaged: copy it again")
}
