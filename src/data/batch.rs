//! Prepared examples side by side, as an engine takes them.

use super::end::Prepared;
use indexmap::IndexMap;

/// Examples side by side: a value per input and target, and for each target which of them are there.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub size: usize,
    pub values: IndexMap<String, Array>,
    /// 1.0 or 0.0 per example.
    pub present: IndexMap<String, Vec<f32>>,
}

/// Row-major elements; `dims` include the batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    F32 { dims: Vec<usize>, data: Vec<f32> },
    I64 { dims: Vec<usize>, data: Vec<i64> },
}

impl Array {
    pub fn dims(&self) -> &[usize] {
        match self {
            Array::F32 { dims, .. } | Array::I64 { dims, .. } => dims,
        }
    }

    /// Adds an example of `size` elements; a missing one is 0.0 or −1.
    pub(super) fn append(&mut self, value: Prepared, size: usize) {
        match (self, value) {
            (Array::F32 { data, .. }, Prepared::F32(values)) => data.extend(values),
            (Array::I64 { data, .. }, Prepared::I64(values)) => data.extend(values),
            (Array::F32 { data, .. }, _) => data.extend(std::iter::repeat_n(0.0, size)),
            (Array::I64 { data, .. }, _) => data.extend(std::iter::repeat_n(-1, size)),
        }
    }
}
