//! `fill`: a value for missing inputs: a number, the mean of the training rows per feature, or a text.
//!
//! Targets are not filled: a missing label is passed over by the losses, an invented one is learned.

use super::{Field, Made, Step, StepKind, from_json, to_json};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature, Value};
use crate::data::draw::Row;
use crate::data::form::{Cell, Example, Fault, Features, Form, FormKind};
use serde_json::Value as Json;

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "fill",
        kind: PartKind::Step,
        summary: "a value for missing inputs",
        params: &[Param::required(
            "value",
            Kind::Either(&[Kind::Number, Kind::Word(&["mean"]), Kind::Text]),
            "a number, `mean` for the mean of the training rows, or a text for cells",
        )],
    },
    make,
};

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    if field.is_target {
        return Err(Fault::new("`fill` would invent labels for a target")
            .help("leave it out: a row without the label is passed over by that target's losses"));
    }
    match args.get("value").map(|arg| &arg.value) {
        Some(Value::Text(text)) if form.kind == FormKind::Cells => {
            let text = text.clone();
            Ok((Box::new(super::Pure(move |example| Ok(fill_cells(example, &text)))), form.clone()))
        }
        Some(Value::Text(_)) => Err(Fault::new(format!("`fill` with a text takes cells of a table, and got {form}"))),
        Some(Value::Word(_)) => {
            let out = form.as_numbers("fill")?;
            let count = Features::count(form, "fill")?;
            Ok((Box::new(Mean { sums: vec![(0, 0.0); count], mean: vec![0.0; count] }), out))
        }
        _ => {
            let value = args.float("value") as f32;
            let fill = move |example: Example| example.map(|_, x| if x.is_nan() { value } else { x });
            Ok((Box::new(super::Pure(fill)), form.as_numbers("fill")?))
        }
    }
}

fn fill_cells(example: Example, text: &str) -> Example {
    match example {
        Example::Cells { dims, mut cells } => {
            cells.iter_mut().filter(|cell| **cell == Cell::Empty).for_each(|cell| *cell = Cell::Text(text.into()));
            Example::Cells { dims, cells }
        }
        other => other,
    }
}

/// Fills with the mean of each feature.
struct Mean {
    sums: Vec<(u64, f64)>,
    mean: Vec<f32>,
}

impl Step for Mean {
    fn learns(&self) -> bool {
        true
    }

    fn observe(&mut self, example: Example) -> Result<(), Fault> {
        let Some((dims, data)) = example.into_numbers()? else { return Ok(()) };
        let features = Features::of(&dims);
        for (i, x) in data.into_iter().enumerate().filter(|(_, x)| !x.is_nan()) {
            let (count, sum) = &mut self.sums[features.index(i)];
            *count += 1;
            *sum += f64::from(x);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        if let Some(i) = self.sums.iter().position(|(count, _)| *count == 0) {
            return Err(Fault::new("`fill(mean)` found no value in the training rows").element(i));
        }
        self.mean = self.sums.iter().map(|(count, sum)| (sum / *count as f64) as f32).collect();
        Ok(())
    }

    fn apply(&self, example: Example, _: Row) -> Result<Example, Fault> {
        let Some((dims, mut data)) = example.into_numbers()? else { return Ok(Example::Missing) };
        let features = Features::of(&dims);
        for (i, x) in data.iter_mut().enumerate().filter(|(_, x)| x.is_nan()) {
            *x = self.mean[features.index(i)];
        }
        Ok(Example::Numbers { dims, data })
    }

    fn state(&self) -> Json {
        to_json(&self.mean)
    }

    fn restore(&mut self, state: &Json) -> bool {
        from_json(state, self.mean.len()).map(|mean| self.mean = mean).is_some()
    }
}
