//! `bytes`: text as tokens, one per UTF-8 byte: the byte plus 1, then 0 up to the length; what is longer is cut.

use super::{Field, Made, Pure, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::form::{Cell, Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "bytes",
        kind: PartKind::Step,
        summary: "text as tokens, one per byte: the byte plus 1, and 0 for padding; needs a vocabulary of 257",
        params: &[Param::required("length", Kind::Count, "tokens per example; longer texts are cut")],
    },
    make,
};

const VOCABULARY: usize = 257;

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    if *form != Form::new(FormKind::Cells, &[1]) {
        return Err(Fault::new(format!("`bytes` takes one cell of text, and got {form}")));
    }
    if let Some(vocabulary) = field.ty.vocabulary.filter(|&n| n < VOCABULARY) {
        return Err(Fault::new(format!("`bytes` makes tokens up to 256, and the vocabulary has {vocabulary}"))
            .help(format!("give the embedding a vocabulary of {VOCABULARY}")));
    }
    let length = args.size("length");
    Ok((Box::new(Pure(move |example| Ok(bytes(example, length)))), Form::new(FormKind::Tokens, &[length])))
}

fn bytes(example: Example, length: usize) -> Example {
    let Example::Cells { cells, .. } = example else { return example };
    let text = cells.first().map(Cell::text).unwrap_or_default();
    let mut data: Vec<i64> = text.bytes().take(length).map(|byte| i64::from(byte) + 1).collect();
    data.resize(length, 0);
    Example::Ids { dims: vec![length], data }
}
