//! `normalize`: `y = (x − mean) / std` with the numbers that the spec gives: one of each, or one per feature.
//!
//! A feature is a channel of an image `[channels, height, width]`, else an entry of the last axis.

use super::{Field, Made, Step, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature, Value};
use crate::data::draw::Row;
use crate::data::form::{Example, Fault, Features, Form};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "normalize",
        kind: PartKind::Step,
        summary: "subtracts a given mean and divides by a given deviation, one of each or one per channel",
        params: &[
            Param::required(
                "mean",
                Kind::Either(&[Kind::Number, Kind::List(&Kind::Number)]),
                "what is subtracted; images run from 0 to 255",
            ),
            Param::required(
                "std",
                Kind::Either(&[Kind::Positive, Kind::List(&Kind::Positive)]),
                "what the difference is divided by",
            ),
        ],
    },
    make,
};

struct Normalize {
    mean: Vec<f32>,
    std: Vec<f32>,
    features: Option<Features>,
}

fn make(args: &Args, form: &Form, _: &Field) -> Result<Made, Fault> {
    let out = form.as_numbers("normalize")?;
    let (mean, std) = (values(args, "mean", form)?, values(args, "std", form)?);
    let features = form.known().map(|dims| Features::of(&dims));
    Ok((Box::new(Normalize { mean, std, features }), out))
}

/// One number for all features, or as many as there are features.
fn values(args: &Args, name: &str, form: &Form) -> Result<Vec<f32>, Fault> {
    let Some(Value::List(list)) = args.get(name).map(|arg| &arg.value) else {
        return Ok(vec![args.float(name) as f32]);
    };
    let values: Vec<f32> = list.iter().filter_map(|arg| arg.value.as_float()).map(|x| x as f32).collect();
    let count = Features::count(form, "normalize")?;
    if values.len() != count {
        let message = format!("`{name}` has {} numbers, and {form} has {count} features", values.len());
        return Err(Fault::new(message).help("give one number, or one per channel"));
    }
    Ok(values)
}

impl Step for Normalize {
    fn apply(&self, example: Example, _: Row) -> Result<Example, Fault> {
        let Some((dims, mut data)) = example.into_numbers()? else { return Ok(Example::Missing) };
        let features = Features::of(&dims);
        for (i, x) in data.iter_mut().enumerate() {
            let k = features.index(i);
            *x = (*x - self.mean[k % self.mean.len()]) / self.std[k % self.std.len()];
        }
        Ok(Example::Numbers { dims, data })
    }

    fn invert(&self, values: &mut [f32]) {
        for (i, x) in values.iter_mut().enumerate() {
            let k = self.features.map_or(0, |features| features.index(i));
            *x = *x * self.std[k % self.std.len()] + self.mean[k % self.mean.len()];
        }
    }
}
