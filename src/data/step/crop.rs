//! `crop`: a window of an image, at a random place; in other rows the one in the middle.
//!
//! With `padding` the image first gets a border of zeros on each side, as is usual for small images (He et al. 2015).

use super::{Field, Made, Step, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::draw::{Chance, ON, Row};
use crate::data::form::{Example, Fault, Form};
use crate::data::plane::{Plane, gather, plane};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "crop",
        kind: PartKind::Step,
        summary: "a window of an image, or of a map of classes: at random in training, else in the middle",
        params: &[
            Param::required("height", Kind::Count, "in pixels"),
            Param::optional("width", Kind::Count, "in pixels; the height when it is absent"),
            Param::with(
                "padding",
                Kind::Whole,
                "0",
                "pixels of zeros (of missing classes) on each side before the cut",
            ),
            ON,
        ],
    },
    make,
};

struct Crop {
    window: Plane,
    padding: usize,
    chance: Chance,
    /// Whether a border is of zeros; of a map of classes it is of missing ones.
    is_input: bool,
}

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    let before = plane("crop", form)?;
    let height = args.size("height");
    let width = if args.has("width") { args.size("width") } else { height };
    let (window, padding) = (Plane { height, width }, args.size("padding"));
    if padding > 1 << 14 || height.saturating_mul(width) > 1 << 28 {
        return Err(Fault::new(format!("a window of {height} by {width} with a border of {padding} is too large")));
    }
    if padding > 0 && field.is_target && field.ty.classes.is_none() {
        return Err(Fault::new("the border of zeros would be labels that nobody has given")
            .help("leave `padding` out, in the chain of the image too"));
    }
    if let [.., Some(h), Some(w)] = form.dims[..] {
        fits(Plane { height: h, width: w }, window, padding)?;
    }
    let dims = before.into_iter().chain([Some(height), Some(width)]).collect();
    let chance = Chance::new(args, "crop", field.nth);
    let step = Crop { window, padding, chance, is_input: !field.is_target };
    Ok((Box::new(step), Form { kind: form.kind, dims }))
}

fn fits(image: Plane, window: Plane, padding: usize) -> Result<(), Fault> {
    if window.height <= image.height + 2 * padding && window.width <= image.width + 2 * padding {
        return Ok(());
    }
    let Plane { height, width } = image;
    let message = format!("a window of {} by {} does not fit into {height} by {width}", window.height, window.width);
    Err(Fault::new(message).help("`resize` the image before, or give `crop` a `padding`"))
}

impl Step for Crop {
    fn apply(&self, example: Example, row: Row) -> Result<Example, Fault> {
        let Crop { window, padding, .. } = *self;
        let mut random = self.chance.at(row);
        // Pixels as numbers have zeros around them, whatever type the file keeps them in.
        let example = match example {
            Example::Ids { dims, data } if self.is_input => {
                Example::Numbers { dims, data: data.into_iter().map(|n| n as f32).collect() }
            }
            other => other,
        };
        // NaN stands for what is missing.
        gather(example, if self.is_input { 0.0 } else { f32::NAN }, |image| {
            fits(image, window, padding)?;
            let rooms = [image.height + 2 * padding - window.height, image.width + 2 * padding - window.width];
            let [top, left] = rooms.map(|room| random.as_mut().map_or(room / 2, |random| random.upto(room)));
            let from = move |y: usize, x: usize| {
                let (y, x) = ((y + top).checked_sub(padding)?, (x + left).checked_sub(padding)?);
                (y < image.height && x < image.width).then_some((y, x))
            };
            Ok((window, from))
        })
    }
}
