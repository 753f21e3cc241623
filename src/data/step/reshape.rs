//! `reshape`: the same values under other sizes, in row-major order.

use super::{Field, Made, Pure, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::form::{Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "reshape",
        kind: PartKind::Step,
        summary: "the same values under other sizes, in row-major order",
        params: &[Param::required("sizes", Kind::Rest(&Kind::Count), "the sizes of one example, without the batch")],
    },
    make,
};

fn make(args: &Args, form: &Form, _: &Field) -> Result<Made, Fault> {
    let sizes: Vec<usize> = args
        .list("sizes")
        .iter()
        .filter_map(|arg| arg.value.as_int())
        .filter_map(|n| usize::try_from(n).ok())
        .collect();
    let count = |dims: &[usize]| dims.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    match form.known() {
        None => Err(Fault::new(format!("`reshape` needs one size for all examples, and got {form}"))
            .help("put `resize(height, width)` before it")),
        Some(dims) if sizes.is_empty() || count(&dims) != count(&sizes) => {
            Err(Fault::new(format!("`reshape` to {sizes:?} cannot hold the values of {form}")))
        }
        Some(_) => {
            // Cells become numbers here, since a table of text has no other shape than its columns.
            let kind = if form.kind == FormKind::Cells { FormKind::Numbers } else { form.kind };
            let out = Form::new(kind, &sizes);
            Ok((Box::new(Pure(move |example| reshape(example, &sizes))), out))
        }
    }
}

fn reshape(example: Example, sizes: &[usize]) -> Result<Example, Fault> {
    let dims = sizes.to_vec();
    Ok(match example {
        Example::Ids { data, .. } => Example::Ids { dims, data },
        other => match other.into_numbers()? {
            Some((_, data)) => Example::Numbers { dims, data },
            None => Example::Missing,
        },
    })
}
