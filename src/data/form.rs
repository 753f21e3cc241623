//! What travels along the chain of a field: one example, and the form that all examples share there.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A cell of a table, before anyone decided what it means.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// An empty csv cell, a jsonl `null` or an absent key.
    Empty,
    Number(f64),
    Text(String),
}

impl Cell {
    /// The cell as a category or as text: numbers as a csv file would have them.
    pub fn text(&self) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::Number(x) => x.to_string(),
            Cell::Text(text) => text.clone(),
        }
    }
}

/// One example at one place of a chain. A missing number is NaN up to the end of the chain.
#[derive(Clone, Debug, PartialEq)]
pub enum Example {
    /// The whole value is missing. Steps leave it so.
    Missing,
    Cells {
        dims: Vec<usize>,
        cells: Vec<Cell>,
    },
    Numbers {
        dims: Vec<usize>,
        data: Vec<f32>,
    },
    Ids {
        dims: Vec<usize>,
        data: Vec<i64>,
    },
}

/// The sizes of an example and its numbers, row-major.
pub type Dense = (Vec<usize>, Vec<f32>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormKind {
    /// Text or numbers of a table.
    Cells,
    /// Integers of an array file, which may become numbers, classes or tokens.
    Integers,
    Numbers,
    /// Tokens that a step made.
    Tokens,
}

/// What all examples have in common at one place of a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    pub kind: FormKind,
    /// Sizes of one example, never empty; `None` where examples may differ.
    pub dims: Vec<Option<usize>>,
}

impl Form {
    pub fn new(kind: FormKind, dims: &[usize]) -> Self {
        Self { kind, dims: dims.iter().map(|&n| Some(n)).collect() }
    }

    pub fn numbers(dims: &[usize]) -> Self {
        Self::new(FormKind::Numbers, dims)
    }

    /// The sizes, when every example has the same.
    pub fn known(&self) -> Option<Vec<usize>> {
        self.dims.iter().copied().collect()
    }

    /// As it stands where numbers are computed with: cells and integers become numbers by themselves.
    pub fn as_numbers(&self, step: &str) -> Result<Form, Fault> {
        match self.kind {
            FormKind::Tokens => Err(Fault::new(format!("`{step}` takes numbers, and got {self}"))),
            _ => Ok(Form { kind: FormKind::Numbers, dims: self.dims.clone() }),
        }
    }

    /// The sizes of an image, `[channels, height, width]`.
    pub fn as_image(&self, step: &str) -> Result<[Option<usize>; 3], Fault> {
        let form = self.as_numbers(step)?;
        match form.dims[..] {
            [c, h, w] if self.kind != FormKind::Cells => Ok([c, h, w]),
            _ => Err(Fault::new(format!("`{step}` takes images, f32[channels, height, width], and got {self}"))
                .help("`-> reshape(1, height, width)` makes an image of numbers")),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FormKind::Cells => "cells",
            FormKind::Integers => "integers",
            FormKind::Numbers => "f32",
            FormKind::Tokens => "i64",
        };
        let dims: Vec<_> = self.dims.iter().map(|d| d.map_or("?".into(), |n| n.to_string())).collect();
        write!(f, "{kind}[{}]", dims.join(", "))
    }
}

/// What is wrong with an example or a form. The caller adds the place.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub message: String,
    pub help: Option<String>,
    /// Which element of the example, when it is one; tells the column of a table.
    pub element: Option<usize>,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, element: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn element(mut self, element: usize) -> Self {
        self.element = Some(element);
        self
    }
}

impl Example {
    /// Sizes and values as numbers; `None` when the example is missing.
    pub fn into_numbers(self) -> Result<Option<Dense>, Fault> {
        Ok(match self {
            Example::Missing => None,
            Example::Numbers { dims, data } => Some((dims, data)),
            Example::Ids { dims, data } => Some((dims, data.into_iter().map(|n| n as f32).collect())),
            Example::Cells { dims, cells } => {
                let data: Result<Vec<f32>, Fault> =
                    cells.iter().enumerate().map(|(i, cell)| number(cell).map_err(|fault| fault.element(i))).collect();
                Some((dims, data?))
            }
        })
    }

    /// Changes every number by itself.
    pub fn map(self, f: impl Fn(usize, f32) -> f32) -> Result<Example, Fault> {
        Ok(match self.into_numbers()? {
            None => Example::Missing,
            Some((dims, mut data)) => {
                data.iter_mut().enumerate().for_each(|(i, x)| *x = f(i, *x));
                Example::Numbers { dims, data }
            }
        })
    }
}

/// The number in a cell; NaN when it is empty.
fn number(cell: &Cell) -> Result<f32, Fault> {
    let (value, text) = match cell {
        Cell::Empty => return Ok(f32::NAN),
        Cell::Number(x) => (Some(*x), x.to_string()),
        Cell::Text(text) => (text.trim().parse::<f64>().ok(), text.clone()),
    };
    match value {
        Some(x) if x.is_finite() && (x as f32).is_finite() => Ok(x as f32),
        Some(x) if x.is_finite() => Err(Fault::new(format!("`{text}` is beyond the range of f32"))),
        Some(_) => {
            Err(Fault::new(format!("`{text}` is not finite")).help("leave the cell empty where a value is missing"))
        }
        None => Err(Fault::new(format!("`{}` is no number", shorten(&text)))
            .help("leave the cell empty where a value is missing; `-> categories` takes text")),
    }
}

/// At most 40 characters of `text`, for messages.
pub fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 { text.into() } else { text.chars().take(39).chain(['…']).collect() }
}

/// How the numbers of an example divide into features, for steps that treat each feature by itself: the channels of an
/// image `[channels, height, width]`, else the entries of the last axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features {
    pub count: usize,
    /// Neighbouring elements that belong to one feature.
    pub stride: usize,
}

impl Features {
    pub fn of(dims: &[usize]) -> Self {
        match *dims {
            [channels, height, width] => Self { count: channels, stride: height * width },
            _ => Self { count: dims.last().copied().unwrap_or(1), stride: 1 },
        }
    }

    /// The feature that element `i` belongs to.
    pub fn index(self, i: usize) -> usize {
        i / self.stride.max(1) % self.count.max(1)
    }

    /// How many features examples of a form have.
    pub fn count(form: &Form, step: &str) -> Result<usize, Fault> {
        let count = if form.dims.len() == 3 { form.dims[0] } else { form.dims.last().copied().flatten() };
        count.ok_or_else(|| {
            Fault::new(format!("`{step}` needs to know the number of channels, and got {form}"))
                .help("put `rgb` or `gray` before it")
        })
    }
}
