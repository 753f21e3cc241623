//! Data: from files to batches.
//!
//! In comes a [`DataSpec`]: which files, how they are split, and for every input and target of the model a column and the
//! steps that prepare it. Out comes a [`Dataset`], which checks all it can when it is opened, and then gives batches of
//! prepared examples. What always holds:
//!
//! - the same files, spec and seed give the same splits and the same batches, whatever the number of threads;
//! - what a step learns (means, categories) it learns from the training rows alone, and [`Fitted`] keeps it for later runs;
//! - a label may be missing: its `present` is 0 and its value is 0.0, or −1 for a class; a map of classes keeps −1, and
//!   one of numbers NaN, at each place without a label, and is present when it has any; an input is never missing;
//! - every fault of a file is a diagnostic that names file, line and column. Nothing here prints.
//!
//! # Adding a source
//! Write `source/NAME.rs` with a `pub static PART: SourceKind`: the signature (end its parameters with [`source::SPLIT`],
//! [`source::SEED`] and [`source::LIMIT`]), the parameters that are paths, and a function from files to a [`table::Table`].
//! Add `NAME` to the list at the end of `source/mod.rs`.
//!
//! # Adding a step
//! Write `step/NAME.rs` with a `pub static PART: StepKind`: the signature, and a function that looks at the [`form::Form`] that
//! arrives and gives the [`step::Step`] and the form that leaves. Add `NAME` to the list at the end of `step/mod.rs`.
//! A step that learns implements `observe`, `finish`, `state` and `restore`; one that targets may use and that changes units
//! implements `invert`. A random step ends its parameters with [`draw::ON`], and draws by a [`draw::Chance`].

/// Declares a list of parts: one name each, the name of the file whose `PART` it is.
macro_rules! parts {
    ($(#[$doc:meta])* $list:ident: $kind:ty = $($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        $(#[$doc])*
        pub static $list: &[&$kind] = &[$(&$module::PART),*];
    };
}

pub mod batch;
pub mod cache;
pub mod chain;
pub mod class;
pub mod column;
pub mod dataset;
pub mod draw;
pub mod end;
pub mod fit;
pub mod form;
pub mod generated;
pub mod number;
pub mod plane;
pub mod problem;
pub mod select;
pub mod source;
pub mod split;
pub mod step;
pub mod table;

pub use batch::{Array, Batch};
pub use column::COLUMNS;
pub use dataset::Dataset;
pub use draw::Moment;
pub use fit::{Fitted, FittedField};
pub use source::SOURCES;
pub use split::Split;
pub use step::STEPS;

use crate::base::signature::{Call, Signature};
use crate::base::{DType, Span, Type};
use std::path::PathBuf;

/// A `data` block, bound to the model's inputs and targets.
#[derive(Clone, Debug)]
pub struct DataSpec {
    pub name: String,
    /// One of [`sources`].
    pub source: Call,
    pub fields: Vec<FieldSpec>,
    /// Relative paths start here: the folder of the spec.
    pub root: PathBuf,
}

/// One line of a `data` block: where the values come from, and how they are prepared.
#[derive(Clone, Debug)]
pub struct FieldSpec {
    pub name: String,
    pub role: Role,
    /// One of [`columns`].
    pub column: Call,
    /// Each one of [`steps`].
    pub steps: Vec<Call>,
    pub span: Span,
}

impl FieldSpec {
    /// Whether a step of the chain draws at random in rows of that split.
    pub fn draws_on(&self, split: Split) -> bool {
        self.steps.iter().any(|step| draw::splits(&step.args).any(|drawn| drawn == split))
    }
}

/// What the model uses a field for.
#[derive(Clone, Debug)]
pub enum Role {
    Input(FieldType),
    Target(FieldType),
}

impl Role {
    pub fn field_type(&self) -> &FieldType {
        match self {
            Role::Input(ty) | Role::Target(ty) => ty,
        }
    }

    pub fn is_target(&self) -> bool {
        matches!(self, Role::Target(_))
    }

    /// The noun used in messages.
    pub fn noun(&self) -> &'static str {
        if self.is_target() { "target" } else { "input" }
    }
}

/// What the model declared a field to be.
#[derive(Clone, Debug)]
pub struct FieldType {
    /// With the batch axis: `f32[batch, 20]`, `i64[batch]`, `i64[batch, 64, 64]`.
    pub ty: Type,
    /// For a class per example or per place, and for boxes.
    pub classes: Option<Classes>,
    /// For tokens, when it is known: every token is below it.
    pub vocabulary: Option<usize>,
}

impl FieldType {
    /// Whether it is a list of boxes, `f32[batch, boxes, 5]`: each the index of a class, −1 where there is no box, and the corners
    /// x0, y0, x1, y1 in pixels of the input.
    pub fn is_boxes(&self) -> bool {
        self.ty.dtype == DType::F32 && self.classes.is_some()
    }
}

#[derive(Clone, Debug)]
pub struct Classes {
    pub count: usize,
    pub names: Option<Vec<String>>,
}

/// What a spec may name as a source of data.
pub fn sources() -> Vec<&'static Signature> {
    SOURCES.iter().map(|part| part.signature).collect()
}

/// What may start the chain of a field.
pub fn columns() -> Vec<&'static Signature> {
    COLUMNS.iter().map(|part| part.signature).collect()
}

/// What may follow in the chain of a field.
pub fn steps() -> Vec<&'static Signature> {
    STEPS.iter().map(|part| part.signature).collect()
}
