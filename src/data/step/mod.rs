//! What prepares a value: steps, which run on one example at a time.
//!
//! A step is made from its arguments and the form that arrives, and says the form that leaves. Numbers that are missing are
//! NaN and stay so; an example that is missing as a whole never reaches a step.

use super::FieldType;
use super::draw::Row;
use super::form::{Example, Fault, Form};
use crate::base::signature::{Args, Signature};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// The steps that move the pixels of an image within it.
pub const MOVE_PIXELS: &[&str] = &["flip", "crop", "resized_crop"];

/// The steps that leave boxes where they are.
pub const KEEP_BOXES: &[&str] = &["reshape", "forget"];

/// A step: what a spec writes, and how it is made.
#[derive(Debug)]
pub struct StepKind {
    pub signature: &'static Signature,
    pub make: fn(&Args, &Form, &Field) -> Result<Made, Fault>,
}

/// A step and the form of what leaves it.
pub type Made = (Box<dyn Step>, Form);

/// The field that a step belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    pub is_target: bool,
    pub ty: &'a FieldType,
    /// The columns that the field reads, one per cell of its first form when there are several.
    pub columns: &'a [String],
    /// The folder of the source's first file.
    pub folder: &'a Path,
    /// The folder of the spec, where relative paths of arguments start.
    pub root: &'a Path,
    /// Steps of the same name before it in the chain.
    pub nth: usize,
}

/// One step of one field.
pub trait Step: Send + Sync {
    /// Whether it learns from the training rows before it can be applied.
    fn learns(&self) -> bool {
        false
    }

    /// Takes note of one training example, in the form that arrives at the step.
    fn observe(&mut self, _example: Example) -> Result<(), Fault> {
        Ok(())
    }

    /// Ends learning.
    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn apply(&self, example: Example, row: Row) -> Result<Example, Fault>;

    /// Turns whole examples of numbers back into the units that arrive at the step.
    fn invert(&self, _values: &mut [f32]) {}

    /// The file that it reads for an example in the form that arrives, beside the table.
    fn file(&self, _example: &Example) -> Option<PathBuf> {
        None
    }

    /// What it has learned, for a later run.
    fn state(&self) -> Json {
        Json::Null
    }

    /// Takes what a former run learned; false when that is of another kind.
    fn restore(&mut self, state: &Json) -> bool {
        state.is_null()
    }
}

/// A step that needs no state of its own.
struct Pure<F>(F);

impl<F: Fn(Example) -> Result<Example, Fault> + Send + Sync> Step for Pure<F> {
    fn apply(&self, example: Example, _: Row) -> Result<Example, Fault> {
        (self.0)(example)
    }
}

/// Numbers as JSON.
fn to_json(values: &[f32]) -> Json {
    values.iter().map(|&x| f64::from(x)).collect()
}

/// So many finite numbers from JSON.
fn from_json(json: &Json, count: usize) -> Option<Vec<f32>> {
    let values: Vec<f32> = json.as_array()?.iter().map(|x| x.as_f64().map(|x| x as f32)).collect::<Option<_>>()?;
    (values.len() == count && values.iter().all(|x| x.is_finite())).then_some(values)
}

parts! {
    /// Every step, one line each.
    STEPS: StepKind =
        standardize,
        normalize,
        log1p,
        missing,
        fill,
        reshape,
        resize,
        rgb,
        gray,
        channels_first,
        read_image,
        flip,
        crop,
        resized_crop,
        color,
        cutout,
        one_hot,
        classes,
        categories,
        bytes,
        wordpiece,
        word_labels,
        forget,
}
