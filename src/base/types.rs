//! The type of a value: what it counts in, and its shape with a symbolic batch.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What the elements of a value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// 32-bit floating point.
    F32,
    /// An index: a class, or a token of a vocabulary. Negative means missing.
    I64,
}

/// One axis of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged, into = "DimText", from = "DimText")]
pub enum Dim {
    /// The number of examples, known only when a batch arrives. Only the first axis can be the batch.
    Batch,
    /// A size the compiler knows.
    Size(usize),
}

/// How a dimension stands in a plan file: a number, or the word `batch`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum DimText {
    Size(usize),
    Word(String),
}

impl From<Dim> for DimText {
    fn from(dim: Dim) -> Self {
        match dim {
            Dim::Batch => DimText::Word("batch".into()),
            Dim::Size(n) => DimText::Size(n),
        }
    }
}

impl From<DimText> for Dim {
    fn from(text: DimText) -> Self {
        match text {
            DimText::Size(n) => Dim::Size(n),
            DimText::Word(_) => Dim::Batch,
        }
    }
}

/// Element type and shape of a value, printed as `f32[batch, 3, 224, 224]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Type {
    pub dtype: DType,
    pub dims: Vec<Dim>,
}

impl Type {
    /// A value that every example has: `dims` behind a batch axis.
    pub fn batched(dtype: DType, dims: &[usize]) -> Self {
        let dims = std::iter::once(Dim::Batch).chain(dims.iter().map(|&n| Dim::Size(n))).collect();
        Self { dtype, dims }
    }

    /// A value of fixed shape, such as a parameter.
    pub fn fixed(dtype: DType, dims: &[usize]) -> Self {
        Self { dtype, dims: dims.iter().map(|&n| Dim::Size(n)).collect() }
    }

    /// A single number: a loss.
    pub fn scalar() -> Self {
        Self { dtype: DType::F32, dims: vec![] }
    }

    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    pub fn is_batched(&self) -> bool {
        self.dims.first() == Some(&Dim::Batch)
    }

    /// The sizes behind the batch axis; for a fixed value, all of them.
    pub fn inner(&self) -> Vec<usize> {
        self.dims.iter().filter_map(|d| if let Dim::Size(n) = d { Some(*n) } else { None }).collect()
    }

    /// The concrete shape at a batch size.
    pub fn at(&self, batch: usize) -> Vec<usize> {
        self.dims.iter().map(|d| if let Dim::Size(n) = d { *n } else { batch }).collect()
    }

    /// Elements at a batch size.
    pub fn elements(&self, batch: usize) -> usize {
        self.dims.iter().map(|d| if let Dim::Size(n) = d { *n } else { batch }).product()
    }

    /// The same element type and batch axis over other inner sizes.
    pub fn with_inner(&self, inner: &[usize]) -> Self {
        if self.is_batched() { Type::batched(self.dtype, inner) } else { Type::fixed(self.dtype, inner) }
    }

    /// As a spec writes it, without the batch axis: `f32[3, 224, 224]`.
    pub fn example(&self) -> String {
        format!("{}{:?}", self.dtype, self.inner())
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::I64 => "i64",
        })
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Batch => f.write_str("batch"),
            Dim::Size(n) => write!(f, "{n}"),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, dim) in self.dims.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str("]")
    }
}
