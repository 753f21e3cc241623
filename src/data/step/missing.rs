//! `missing`: what stands for "not known" in a file, such as `?`, `-9999`, or 255 in a mask.
//!
//! A value that is listed becomes missing: a label that losses pass over, or an input that `fill` may fill.

use super::{Field, Made, Pure, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::form::{Cell, Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "missing",
        kind: PartKind::Step,
        summary: "what stands for a missing value in the file, such as `\"?\"`, or 255 in a mask",
        params: &[Param::required(
            "values",
            Kind::Rest(&Kind::Either(&[Kind::Number, Kind::Text])),
            "numbers, or texts of cells",
        )],
    },
    make,
};

fn make(args: &Args, form: &Form, _: &Field) -> Result<Made, Fault> {
    let values = args.list("values").iter();
    let numbers: Vec<f32> = values.clone().filter_map(|arg| arg.value.as_float()).map(|x| x as f32).collect();
    let texts: Vec<String> = values.filter_map(|arg| arg.value.as_text()).map(String::from).collect();
    match form.kind {
        FormKind::Cells => Ok((Box::new(Pure(move |example| Ok(empty(example, &numbers, &texts)))), form.clone())),
        _ if !texts.is_empty() => Err(Fault::new(format!("`missing` with a text takes cells of a table, and got {form}"))),
        _ => {
            let out = form.as_numbers("missing")?;
            let nan = move |_, x| if numbers.contains(&x) { f32::NAN } else { x };
            Ok((Box::new(Pure(move |example: Example| example.map(&nan))), out))
        }
    }
}

fn empty(example: Example, numbers: &[f32], texts: &[String]) -> Example {
    let is_listed = |cell: &Cell| match cell {
        Cell::Empty => false,
        Cell::Number(x) => numbers.contains(&(*x as f32)),
        Cell::Text(text) => texts.contains(text) || text.parse().is_ok_and(|x| numbers.contains(&x)),
    };
    match example {
        Example::Cells { dims, mut cells } => {
            cells.iter_mut().filter(|cell| is_listed(cell)).for_each(|cell| *cell = Cell::Empty);
            Example::Cells { dims, cells }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_values_become_empty() {
        let cells = |cells: [Cell; 4]| Example::Cells { dims: vec![4], cells: cells.to_vec() };
        let text = |text: &str| Cell::Text(text.into());
        let before = cells([text("?"), text("-9999"), text("x"), Cell::Number(255.0)]);
        let after = cells([Cell::Empty, Cell::Empty, text("x"), Cell::Empty]);
        assert_eq!(empty(before, &[-9999.0, 255.0], &["?".into()]), after);
    }
}
