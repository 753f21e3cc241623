//! stub
use crate::base::{
    Span, Type,
    signature::{Call, Signature},
};
use std::path::PathBuf;
#[derive(Clone, Debug)]
pub struct DataSpec {
    pub name: String,
    pub source: Call,
    pub fields: Vec<FieldSpec>,
    pub root: PathBuf,
}
#[derive(Clone, Debug)]
pub struct FieldSpec {
    pub name: String,
    pub role: Role,
    pub column: Call,
    pub steps: Vec<Call>,
    pub span: Span,
}
#[derive(Clone, Debug)]
pub enum Role {
    Input(FieldType),
    Target(FieldType),
}
#[derive(Clone, Debug, PartialEq)]
pub struct FieldType {
    pub ty: Type,
    pub classes: Option<Classes>,
    pub vocabulary: Option<usize>,
}
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    pub count: usize,
    pub names: Option<Vec<String>>,
}
pub fn sources() -> Vec<&'static Signature> {
    vec![]
}
pub fn columns() -> Vec<&'static Signature> {
    vec![]
}
pub fn steps() -> Vec<&'static Signature> {
    vec![]
}
use crate::base::Result;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Train,
    Validation,
    Test,
}
impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
pub struct Batch {
    pub size: usize,
    pub values: IndexMap<String, Array>,
    pub present: IndexMap<String, Vec<f32>>,
}
pub enum Array {
    F32 { dims: Vec<usize>, data: Vec<f32> },
    I64 { dims: Vec<usize>, data: Vec<i64> },
}
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Fitted;
pub struct Dataset;
impl Dataset {
    pub fn open(_: &DataSpec) -> Result<Dataset> {
        todo!()
    }
    pub fn open_fitted(_: &DataSpec, _: &Fitted) -> Result<Dataset> {
        todo!()
    }
    pub fn open_unlabelled(_: &DataSpec, _: Option<&[PathBuf]>, _: &Fitted) -> Result<Dataset> {
        todo!()
    }
    pub fn rows(&self, _: Split) -> &[usize] {
        todo!()
    }
    pub fn batch(&self, _: &[usize]) -> Result<Batch> {
        todo!()
    }
    pub fn invert(&self, _: &str, _: &mut [f32]) {}
    pub fn class_names(&self, _: &str) -> Option<&[String]> {
        None
    }
    pub fn fitted(&self) -> Fitted {
        todo!()
    }
    pub fn fingerprint(&self) -> &str {
        ""
    }
    pub fn missing(&self, _: &str, _: Split) -> usize {
        0
    }
}
