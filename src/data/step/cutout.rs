//! `cutout`: a square of an image hidden, at a random place (DeVries and Taylor 2017, arXiv 1708.04552).
//!
//! Its centre is any pixel, so at the edge a part of the square lies outside.

use super::{Field, Made, Step, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::draw::{Chance, ON, Row};
use crate::data::form::{Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "cutout",
        kind: PartKind::Step,
        summary: "hides a square at a random place of an image",
        params: &[
            Param::required("size", Kind::Count, "its side in pixels"),
            Param::with("value", Kind::Number, "0", "what stands there; behind `normalize`, 0 is the mean"),
            ON,
        ],
    },
    make,
};

struct Cutout {
    size: usize,
    value: f32,
    chance: Chance,
}

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    if field.is_target {
        return Err(Fault::new("`cutout` changes images, and this field is a target"));
    }
    let dims = form.as_image("cutout")?.to_vec();
    let (size, value) = (args.size("size"), args.float("value") as f32);
    let step = Cutout { size, value, chance: Chance::new(args, "cutout", field.nth) };
    Ok((Box::new(step), Form { kind: FormKind::Numbers, dims }))
}

impl Step for Cutout {
    fn apply(&self, example: Example, row: Row) -> Result<Example, Fault> {
        let Some((dims, mut data)) = example.into_numbers()? else { return Ok(Example::Missing) };
        let [_, height, width] = dims[..] else { return Err(Fault::new("an example is no image")) };
        if let Some(mut random) = self.chance.at(row).filter(|_| height * width > 0) {
            let span = |centre: usize, most: usize| {
                let start = centre.saturating_sub(self.size / 2);
                start..(centre + self.size.div_ceil(2)).min(most)
            };
            let (rows, columns) = (span(random.upto(height - 1), height), span(random.upto(width - 1), width));
            for plane in data.chunks_exact_mut(height * width) {
                rows.clone().for_each(|y| plane[y * width..][columns.clone()].fill(self.value));
            }
        }
        Ok(Example::Numbers { dims, data })
    }
}
