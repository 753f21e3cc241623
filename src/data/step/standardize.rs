//! `standardize`: mean 0 and deviation 1 per feature, learned from the training rows.
//!
//! `y = (x − mean) / std`, with the population deviation `std = √(Σ (x − mean)² / n)` over the values that are present, and 1
//! where it is 0. A feature is a channel of an image `[channels, height, width]`, else an entry of the last axis. Means
//! and deviations are gathered in f64 by Welford's recurrence and applied in f32.

use super::{Field, Made, Step, StepKind, from_json, to_json};
use crate::base::signature::{Args, PartKind, Signature};
use crate::data::draw::Row;
use crate::data::form::{Example, Fault, Features, Form};
use serde_json::{Value as Json, json};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "standardize",
        kind: PartKind::Step,
        summary: "mean 0 and deviation 1 per feature (per channel of an image), learned from the training rows",
        params: &[],
    },
    make,
};

struct Standardize {
    /// Running count, mean and sum of squared deviations of each feature.
    seen: Vec<(u64, f64, f64)>,
    mean: Vec<f32>,
    std: Vec<f32>,
    /// How a prediction's elements map to features; known for targets of one size.
    features: Option<Features>,
}

fn make(_: &Args, form: &Form, _: &Field) -> Result<Made, Fault> {
    let out = form.as_numbers("standardize")?;
    let count = Features::count(form, "standardize")?;
    let features = form.known().map(|dims| Features::of(&dims));
    let step =
        Standardize { seen: vec![(0, 0.0, 0.0); count], mean: vec![0.0; count], std: vec![1.0; count], features };
    Ok((Box::new(step), out))
}

impl Step for Standardize {
    fn learns(&self) -> bool {
        true
    }

    fn observe(&mut self, example: Example) -> Result<(), Fault> {
        let Some((dims, data)) = example.into_numbers()? else { return Ok(()) };
        let features = Features::of(&dims);
        for (i, x) in data.into_iter().enumerate().filter(|(_, x)| !x.is_nan()) {
            let (count, mean, squares) = &mut self.seen[features.index(i)];
            *count += 1;
            let delta = f64::from(x) - *mean;
            *mean += delta / *count as f64;
            *squares += delta * (f64::from(x) - *mean);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        if let Some(i) = self.seen.iter().position(|(count, ..)| *count == 0) {
            return Err(Fault::new("`standardize` found no value in the training rows").element(i));
        }
        self.mean = self.seen.iter().map(|(_, mean, _)| *mean as f32).collect();
        let deviation = |(count, _, squares): &(u64, f64, f64)| (squares / *count as f64).sqrt() as f32;
        self.std = self.seen.iter().map(deviation).map(|std| if std > 0.0 { std } else { 1.0 }).collect();
        Ok(())
    }

    fn apply(&self, example: Example, _: Row) -> Result<Example, Fault> {
        let Some((dims, mut data)) = example.into_numbers()? else { return Ok(Example::Missing) };
        let features = Features::of(&dims);
        for (i, x) in data.iter_mut().enumerate() {
            let k = features.index(i);
            *x = (*x - self.mean[k]) / self.std[k];
        }
        Ok(Example::Numbers { dims, data })
    }

    fn invert(&self, values: &mut [f32]) {
        let Some(features) = self.features else { return };
        for (i, x) in values.iter_mut().enumerate() {
            let k = features.index(i);
            *x = *x * self.std[k] + self.mean[k];
        }
    }

    fn state(&self) -> Json {
        json!({ "mean": to_json(&self.mean), "std": to_json(&self.std) })
    }

    fn restore(&mut self, state: &Json) -> bool {
        let count = self.seen.len();
        let (Some(mean), Some(std)) = (from_json(&state["mean"], count), from_json(&state["std"], count)) else {
            return false;
        };
        (self.mean, self.std) = (mean, std);
        self.std.iter().all(|&std| std > 0.0)
    }
}
