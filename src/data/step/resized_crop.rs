//! `resized_crop`: a random part of an image, of random area and shape, resized; in other rows the whole image, resized.
//!
//! Area and aspect are drawn as in Inception's training (Szegedy et al. 2014, arXiv 1409.4842): the area uniformly, the aspect
//! uniformly in its logarithm, ten times at most until the part fits; else the largest part in the middle whose aspect is
//! allowed. Resizing is that of `resize`.

use super::{Field, Made, Step, StepKind, resize};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::draw::{Chance, ON, Random, Row};
use crate::data::form::{Example, Fault, Form, FormKind};
use crate::data::plane::{Plane, gather};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "resized_crop",
        kind: PartKind::Step,
        summary: "a part of an image of random area and shape, resized; outside of training the whole image, resized",
        params: &[
            Param::required("height", Kind::Count, "in pixels"),
            Param::optional("width", Kind::Count, "in pixels; the height when it is absent"),
            Param::with(
                "area",
                Kind::List(&Kind::Positive),
                "[0.08, 1]",
                "least and largest share of the image's area",
            ),
            Param::with("aspect", Kind::List(&Kind::Positive), "[0.75, 1.3333333]", "least and largest width / height"),
            ON,
        ],
    },
    make,
};

struct ResizedCrop {
    size: Plane,
    area: [f64; 2],
    aspect: [f64; 2],
    chance: Chance,
}

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    if field.ty.classes.is_some() {
        return Err(Fault::new("`resized_crop` would blend class indices").help("`crop` and `flip` move classes whole"));
    }
    let [channels, ..] = form.as_image("resized_crop")?;
    let height = args.size("height");
    let width = if args.has("width") { args.size("width") } else { height };
    if height.saturating_mul(width) > 1 << 28 {
        return Err(Fault::new(format!("an image of {height} by {width} is too large")));
    }
    let (area, aspect) = (range(args, "area")?, range(args, "aspect")?);
    if area[1] > 1.0 {
        return Err(Fault::new("no part of an image is larger than the image: `area` ends at 1 or before"));
    }
    let chance = Chance::new(args, "resized_crop", field.nth);
    let step = ResizedCrop { size: Plane { height, width }, area, aspect, chance };
    let dims = vec![channels, Some(height), Some(width)];
    Ok((Box::new(step), Form { kind: FormKind::Numbers, dims }))
}

fn range(args: &Args, name: &str) -> Result<[f64; 2], Fault> {
    let ends: Vec<f64> = args.list(name).iter().filter_map(|end| end.value.as_float()).collect();
    match ends[..] {
        [low, high] if low <= high => Ok([low, high]),
        _ => Err(Fault::new(format!("`{name}` lists its least and its largest value")).help("for example `[0.5, 1]`")),
    }
}

impl ResizedCrop {
    /// Top, left and size of the part.
    fn part(&self, image: Plane, random: &mut Random) -> (usize, usize, Plane) {
        let whole = image.height as f64 * image.width as f64;
        for _ in 0..10 {
            let area = whole * random.within(self.area[0], self.area[1]);
            let aspect = random.within(self.aspect[0].ln(), self.aspect[1].ln()).exp();
            let part = Plane {
                height: (area / aspect).sqrt().round() as usize,
                width: (area * aspect).sqrt().round() as usize,
            };
            if (1..=image.height).contains(&part.height) && (1..=image.width).contains(&part.width) {
                let (top, left) = (random.upto(image.height - part.height), random.upto(image.width - part.width));
                return (top, left, part);
            }
        }
        let aspect = (image.width as f64 / image.height as f64).clamp(self.aspect[0], self.aspect[1]);
        let height = (image.width as f64 / aspect).round().clamp(1.0, image.height as f64) as usize;
        let width = (image.height as f64 * aspect).round().clamp(1.0, image.width as f64) as usize;
        ((image.height - height) / 2, (image.width - width) / 2, Plane { height, width })
    }
}

impl Step for ResizedCrop {
    fn apply(&self, example: Example, row: Row) -> Result<Example, Fault> {
        let part = match self.chance.at(row) {
            None => example,
            Some(mut random) => gather(example, 0.0, |image| {
                let (top, left, part) = self.part(image, &mut random);
                Ok((part, move |y: usize, x: usize| Some((y + top, x + left))))
            })?,
        };
        resize::resize(part, self.size.height, self.size.width)
    }
}
