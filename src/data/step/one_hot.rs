//! `one_hot`: a class as a vector of zeros with a one at its index; all zeros never occur, since an input is never missing.

use super::{Field, Made, Pure, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature, Value};
use crate::data::class;
use crate::data::form::{Cell, Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "one_hot",
        kind: PartKind::Step,
        summary: "a class as a vector of zeros with a one at its index",
        params: &[Param::required(
            "classes",
            Kind::Either(&[Kind::Count, Kind::List(&Kind::Text)]),
            "how many there are, or their names in order",
        )],
    },
    make,
};

fn make(args: &Args, form: &Form, _: &Field) -> Result<Made, Fault> {
    let names: Option<Vec<String>> = match args.get("classes").map(|arg| &arg.value) {
        Some(Value::List(list)) => Some(list.iter().filter_map(|arg| arg.value.as_text()).map(String::from).collect()),
        _ => None,
    };
    let count = names.as_ref().map_or_else(|| args.size("classes"), Vec::len);
    if form.known() != Some(vec![1]) || form.kind == FormKind::Tokens {
        return Err(Fault::new(format!("`one_hot` takes one value, and got {form}"))
            .help("give each column a field of its own"));
    }
    let step = Pure(move |example| one_hot(example, count, names.as_deref()));
    Ok((Box::new(step), Form::numbers(&[count])))
}

fn one_hot(example: Example, count: usize, names: Option<&[String]>) -> Result<Example, Fault> {
    let index = match example {
        Example::Cells { cells, .. } => class::of_cell(cells.first().unwrap_or(&Cell::Empty), count, names)?,
        other => match other.into_numbers()? {
            Some((_, data)) => class::of_number(data.first().map_or(f64::NAN, |&x| f64::from(x)), count)?,
            None => None,
        },
    };
    Ok(match index {
        None => Example::Missing,
        Some(index) => {
            let mut data = vec![0.0; count];
            data[index as usize] = 1.0;
            Example::Numbers { dims: vec![count], data }
        }
    })
}
