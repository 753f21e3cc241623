//! Text to syntax tree and back.
//!
//! [`parser::parse`] reads a spec, [`format::format`] writes it in its one canonical layout, and the two agree: the tree of
//! a formatted text is the tree of the text. Nothing here knows what a name means.

pub mod ast;
mod doc;
pub mod format;
pub mod parser;
pub mod print;
mod scan;

pub use parser::{parse, parse_expression};
