//! `flip`: mirrors images at random, left to right or top to bottom.

use super::{Field, Made, Step, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::draw::{Chance, ON, Row};
use crate::data::form::{Example, Fault, Form};
use crate::data::plane::{Plane, gather, plane};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "flip",
        kind: PartKind::Step,
        summary: "mirrors images, or maps of classes, at random",
        params: &[
            Param::with("probability", Kind::NonNegative, "0.5", "how often: from 0, never, to 1, always"),
            Param::with(
                "axis",
                Kind::Word(&["horizontal", "vertical"]),
                "horizontal",
                "left to right, or top to bottom",
            ),
            ON,
        ],
    },
    make,
};

struct Flip {
    probability: f64,
    vertical: bool,
    chance: Chance,
}

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    plane("flip", form)?;
    if args.float("probability") > 1.0 {
        return Err(Fault::new("nothing happens more often than always: `probability` is at most 1"));
    }
    let (probability, vertical) = (args.float("probability"), args.text("axis") == "vertical");
    Ok((Box::new(Flip { probability, vertical, chance: Chance::new(args, "flip", field.nth) }), form.clone()))
}

impl Step for Flip {
    fn apply(&self, example: Example, row: Row) -> Result<Example, Fault> {
        let flips = self.chance.at(row).is_some_and(|mut random| random.unit() < self.probability);
        if !flips {
            return Ok(example);
        }
        gather(example, 0.0, |Plane { height, width }| {
            let vertical = self.vertical;
            let from = move |y: usize, x: usize| Some(if vertical { (height - 1 - y, x) } else { (y, width - 1 - x) });
            Ok((Plane { height, width }, from))
        })
    }
}
