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
