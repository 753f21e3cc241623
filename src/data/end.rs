//! The end of a field's chain: from what the last step gave to the values that the model declared.

use super::form::{Cell, Example, Fault, Form, FormKind};
use super::{Classes, FieldSpec, FieldType, class};
use crate::base::{self, DType, Diagnostic};

/// A prepared value of one example: as many elements as the field's type has behind the batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Prepared {
    /// A label that is not there.
    Missing,
    F32(Vec<f32>),
    I64(Vec<i64>),
}

pub const NOT_FINITE: &str = "the value is not finite, or beyond the range of f32";

/// What a chain ends in.
#[derive(Clone, Debug)]
pub enum End {
    Numbers,
    /// A target with numbers at several places, some of which may be missing: NaN.
    Places,
    Classes(Classes),
    /// Boxes, each with one of the classes.
    Boxes(Classes),
    /// Tokens, below the vocabulary when there is one.
    Tokens(Option<usize>),
}

impl End {
    /// The end that a field's type asks for, if the form that arrives fits it; `notes` say how it came about. `known` names
    /// the classes where the spec does not.
    pub fn new(field: &FieldSpec, form: &Form, known: Option<&[String]>, notes: &[String]) -> base::Result<End> {
        let ty = field.role.field_type();
        let kind_fits = match (ty.ty.dtype, &ty.classes) {
            (DType::F32, _) => form.kind != FormKind::Tokens,
            (DType::I64, Some(_)) => form.kind != FormKind::Tokens,
            (DType::I64, None) => true,
        };
        if !kind_fits || !sizes_fit(form, &ty.ty.inner()) {
            return Err(notes.iter().fold(mismatch(field, form, ty), |diagnostic, note| diagnostic.note(note)).into());
        }
        Ok(match (ty.ty.dtype, &ty.classes) {
            (DType::F32, None) if field.role.is_target() && ty.ty.inner().len() > 1 => End::Places,
            (DType::F32, None) => End::Numbers,
            (DType::F32, Some(classes)) => End::Boxes(classes.clone()),
            (DType::I64, None) => End::Tokens(ty.vocabulary),
            (DType::I64, Some(classes)) => {
                let names = classes.names.clone().or_else(|| known.map(<[String]>::to_vec));
                if let Some(names) = names.as_ref().filter(|names| names.len() != classes.count) {
                    let message =
                        format!("`{}` has {} classes, and the data {}", field.name, classes.count, names.len());
                    return Err(Diagnostic::error(message)
                        .at(field.span)
                        .note(format!("the data has {}", super::problem::list(names.iter().map(String::as_str))))
                        .help(format!("declare `class[{}]`", names.len()))
                        .into());
                }
                End::Classes(Classes { count: classes.count, names })
            }
        })
    }

    /// The value at the end of the chain; missing only where a label is.
    pub fn apply(&self, example: Example) -> Result<Prepared, Fault> {
        match self {
            End::Numbers | End::Places => {
                let Some((_, data)) = example.into_numbers()? else { return Ok(Prepared::Missing) };
                if let Some(i) = data.iter().position(|x| x.is_infinite()) {
                    return Err(Fault::new(NOT_FINITE).element(i));
                }
                let nan = |x: &f32| x.is_nan();
                let is_missing = if let End::Places = self { data.iter().all(nan) } else { data.iter().any(nan) };
                Ok(if is_missing { Prepared::Missing } else { Prepared::F32(data) })
            }
            End::Boxes(classes) => {
                let Some((_, data)) = example.into_numbers()? else { return Ok(Prepared::Missing) };
                boxes(data, classes)
            }
            End::Classes(classes) => {
                let names = classes.names.as_deref();
                let ids = integers(
                    example,
                    |cell| class::of_cell(cell, classes.count, names),
                    |x| {
                        if x == -1.0 { Ok(None) } else { class::of_number(x, classes.count) }
                    },
                )?;
                Ok(if ids.iter().all(|&id| id < 0) { Prepared::Missing } else { Prepared::I64(ids) })
            }
            End::Tokens(vocabulary) => {
                let token = |x: f64| match vocabulary {
                    _ if x.is_nan() => Ok(None),
                    _ if x < 0.0 || x.fract() != 0.0 || x > 1e15 => {
                        Err(Fault::new(format!("`{x}` is no token")).help("a token is a whole number of at least 0"))
                    }
                    Some(size) if x >= *size as f64 => {
                        Err(Fault::new(format!("token `{x}` is outside the vocabulary of {size}")))
                    }
                    _ => Ok(Some(x as i64)),
                };
                let of_cell = |cell: &Cell| match cell {
                    Cell::Empty => Ok(None),
                    Cell::Number(x) => token(*x),
                    Cell::Text(text) => token(text.parse().unwrap_or(-1.0)),
                };
                let ids = integers(example, of_cell, token)?;
                Ok(if ids.iter().any(|&id| id < 0) { Prepared::Missing } else { Prepared::I64(ids) })
            }
        }
    }
}

/// The boxes of an example, zeros where there is none; missing where all is NaN. An image without boxes has a label: there are none.
fn boxes(mut data: Vec<f32>, classes: &Classes) -> Result<Prepared, Fault> {
    if data.iter().all(|x| x.is_nan()) {
        return Ok(Prepared::Missing);
    }
    for (i, row) in data.chunks_exact_mut(5).enumerate() {
        let wrong = |message: String| Fault::new(format!("box {i} {message}")).element(i * 5);
        let id = if row[0] == -1.0 { None } else { class::of_number(f64::from(row[0]), classes.count)? };
        let Some(_) = id else {
            if row[0].is_nan() {
                return Err(wrong("has no class".into()).help("where there is no box the class is -1"));
            }
            row[1..].fill(0.0);
            continue;
        };
        if let Some(x) = row.iter().find(|x| !x.is_finite()) {
            return Err(wrong(format!("has the corner `{x}`")).help("every corner is a number of pixels"));
        }
        if row[1] >= row[3] || row[2] >= row[4] {
            let message = format!("has no inside: from ({}, {}) to ({}, {})", row[1], row[2], row[3], row[4]);
            return Err(wrong(message).help("a box is class, x0, y0, x1, y1 with x0 < x1 and y0 < y1"));
        }
    }
    Ok(Prepared::F32(data))
}

/// Every element as an index, −1 where there is none; no elements when the example is missing.
fn integers(
    example: Example,
    of_cell: impl Fn(&Cell) -> Result<Option<i64>, Fault>,
    of_number: impl Fn(f64) -> Result<Option<i64>, Fault>,
) -> Result<Vec<i64>, Fault> {
    let element = |(i, id): (usize, Result<Option<i64>, Fault>)| match id {
        Ok(id) => Ok(id.unwrap_or(-1)),
        Err(fault) => Err(fault.element(i)),
    };
    match example {
        Example::Missing => Ok(vec![-1]),
        Example::Cells { cells, .. } => cells.iter().map(of_cell).enumerate().map(element).collect(),
        Example::Numbers { data, .. } => {
            data.iter().map(|&x| of_number(f64::from(x))).enumerate().map(element).collect()
        }
        Example::Ids { data, .. } => data.iter().map(|&n| of_number(n as f64)).enumerate().map(element).collect(),
    }
}

/// Whether the sizes are those of the type. A single value fits both `f32` and `f32[1]`.
fn sizes_fit(form: &Form, wanted: &[usize]) -> bool {
    form.known().is_some_and(|dims| dims == wanted || (dims == [1] && wanted.is_empty()))
}

/// The field's chain gives another type than the model declared.
fn mismatch(field: &FieldSpec, form: &Form, ty: &FieldType) -> Diagnostic {
    let span = field.steps.last().map_or(field.column.span, |step| step.span);
    let noun = field.role.noun();
    let message = format!("`{}` prepares {form}, and the {noun} is {}", field.name, ty.ty.example());
    let diagnostic = Diagnostic::error(message).label(span, format!("gives {form}"));
    match remedy(form, ty) {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// What to write instead, for the usual slips.
fn remedy(form: &Form, ty: &FieldType) -> Option<String> {
    let wanted = ty.ty.inner();
    let is_image = form.dims.len() == 3;
    if form.kind == FormKind::Tokens {
        return (ty.ty.dtype == DType::F32).then(|| "declare it as `tokens[…]`".into());
    }
    let elements = form.known().map(|dims| dims.iter().product::<usize>());
    match (&form.dims[..], &wanted[..]) {
        ([Some(1 | 4) | None, ..], [3, _, _]) if is_image => Some("add `-> rgb`".into()),
        ([Some(3 | 4) | None, ..], [1, _, _]) if is_image => Some("add `-> gray`".into()),
        ([_, h, w], [_, height, width]) if (*h, *w) != (Some(*height), Some(*width)) => match height == width {
            true => Some(format!("add `-> resize({height})`")),
            false => Some(format!("add `-> resize({height}, {width})`")),
        },
        (dims, wanted) if dims.len() != wanted.len() && elements == Some(wanted.iter().product::<usize>()) => {
            let sizes: Vec<_> = wanted.iter().map(usize::to_string).collect();
            Some(format!("add `-> reshape({})`", sizes.join(", ")))
        }
        ([Some(n)], [_]) if ty.ty.dtype == DType::F32 => Some(format!("declare `f32[{n}]`, or select other columns")),
        ([Some(n)], [_]) => Some(format!("declare `tokens[{n}]`, or select other columns")),
        _ => None,
    }
}
