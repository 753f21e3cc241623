//! Files of weights in, named tensors out, whoever wrote the file.
//!
//! A file is read by what it holds, not by what it is called: [`formats::FORMATS`] lists the formats, one file each. Out come
//! tensors of `f32` in row-major order, in the order of the file; integers and other numbers that are no parameters are named and
//! left out. Nothing that a file contains is ever run. A damaged or hostile file ends in a diagnostic: sizes that it claims are
//! held against the bytes that are there before memory is taken for them.

mod dtype;
mod file;
mod formats;
pub mod npy;
mod pickle;
mod report;
pub mod rules;

pub use dtype::{DType, half};
pub use file::{Entry, TensorFile, write_tensors};
pub use formats::FORMATS;
pub use report::Report;
pub use rules::{Pattern, Rule, Rules};

/// One tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub dims: Vec<usize>,
    pub data: Vec<f32>,
}

/// A name out of a file, fit to be shown: without control characters, and not longer than a line.
pub fn shown(name: &str) -> String {
    let text: String = name.chars().take(160).flat_map(char::escape_debug).collect();
    if name.chars().count() > 160 { text + "…" } else { text }
}
