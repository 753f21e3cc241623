//! What every room shares: places in sources, the one [`Diagnostic`] type and its one renderer, the types of values,
//! and the tables that say what a name of the language accepts.
//!
//! Nothing here knows the language, reads a file or prints.

pub mod diagnostic;
pub mod signature;
pub mod span;
pub mod types;

pub use diagnostic::{Diagnostic, Diagnostics, Result};
pub use span::{Source, Span};
pub use types::{DType, Dim, Type};
