//! What an op must say about itself.

use super::value::{Tape, Value};
use crate::base::Type;

/// Why an op cannot take its inputs. The caller adds the place and the chain of shapes that led there.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    pub message: String,
    pub help: Option<String>,
}

impl Mismatch {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One op. The struct holds its attributes; the graph holds its inputs.
pub trait Operation: Clone + PartialEq {
    /// The name in graphs and plans, the same as the file's.
    const NAME: &'static str;

    /// The type of the result for these input types. Called before anything runs, with the batch still symbolic.
    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch>;

    /// The meaning of the op. Inputs have the number and types that [`Operation::signature`] accepted, and at least one
    /// example.
    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T>;

    /// Floating-point operations for a batch of one; by default one per element of the result.
    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        output.elements(1) as u64
    }
}

/// Fails unless `inputs` has `N` entries: the graph builder was called wrongly, not the user.
pub fn arity<const N: usize>(name: &str, inputs: &[Type]) -> Result<[Type; N], Mismatch> {
    inputs
        .to_vec()
        .try_into()
        .map_err(|_| Mismatch::new(format!("`{name}` takes {N} inputs, and got {}", inputs.len())))
}
