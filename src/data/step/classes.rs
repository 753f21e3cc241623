//! `classes`: names for class numbers: number k becomes the k-th name. Several numbers may share a name.
//!
//! So a column of digits can be asked for less than it says, such as even or odd. A missing label stays missing.

use super::{Field, Made, Pure, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::class;
use crate::data::form::{Cell, Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "classes",
        kind: PartKind::Step,
        summary: "names for class numbers; several numbers may share one",
        params: &[Param::required("names", Kind::List(&Kind::Text), "the name of class 0, of class 1, and so on")],
    },
    make,
};

fn make(args: &Args, form: &Form, _: &Field) -> Result<Made, Fault> {
    let names: Vec<String> = args.list("names").iter().filter_map(|arg| arg.value.as_text()).map(String::from).collect();
    if names.is_empty() {
        return Err(Fault::new("`classes` names no class").help("for example `classes([\"even\", \"odd\"])`"));
    }
    if form.kind == FormKind::Tokens {
        return Err(Fault::new(format!("`classes` takes class numbers, and got {form}")));
    }
    let out = Form { kind: FormKind::Cells, dims: form.dims.clone() };
    Ok((Box::new(Pure(move |example| rename(example, &names))), out))
}

/// Text that is no number is a name already, and must be one of the list.
fn rename(example: Example, names: &[String]) -> Result<Example, Fault> {
    let name = |(i, index): (usize, Result<Option<i64>, Fault>)| match index {
        Ok(Some(index)) => Ok(Cell::Text(names[index as usize].clone())),
        Ok(None) => Ok(Cell::Empty),
        Err(fault) => Err(fault.element(i)),
    };
    let (dims, cells): (Vec<usize>, Result<Vec<Cell>, Fault>) = match example {
        Example::Cells { dims, cells } => {
            let indices = cells.iter().map(|cell| class::of_cell(cell, names.len(), Some(names)));
            (dims, indices.enumerate().map(name).collect())
        }
        other => {
            let Some((dims, data)) = other.into_numbers()? else { return Ok(Example::Missing) };
            let indices = data.iter().map(|&x| class::of_number(f64::from(x), names.len()));
            (dims, indices.enumerate().map(name).collect())
        }
    };
    Ok(Example::Cells { dims, cells: cells? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_names() {
        let names = ["even", "odd", "even"].map(String::from);
        let cells = |cells: &[Cell]| Example::Cells { dims: vec![cells.len()], cells: cells.to_vec() };
        let text = |text: &str| Cell::Text(text.into());
        let digits = cells(&[text("2"), Cell::Empty, Cell::Number(1.0), text("odd")]);
        assert_eq!(rename(digits, &names), Ok(cells(&[text("even"), Cell::Empty, text("odd"), text("odd")])));
        let numbers = Example::Numbers { dims: vec![2], data: vec![1.0, f32::NAN] };
        assert_eq!(rename(numbers, &names), Ok(cells(&[text("odd"), Cell::Empty])));
        assert!(rename(cells(&[text("3")]), &names).is_err());
    }
}
