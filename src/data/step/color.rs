//! `color`: brightness, contrast and saturation of images, changed at random.
//!
//! Each is a factor, uniform in `[max(0, 1 − amount), 1 + amount]`. Brightness multiplies; contrast moves away from the mean
//! gray of the image, and saturation from the gray of each pixel, 0.299 R + 0.587 G + 0.114 B. They come in this order, and
//! behind each the pixels are cut to 0…255.

use super::{Field, Made, Step, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::draw::{Chance, ON, Row};
use crate::data::form::{Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "color",
        kind: PartKind::Step,
        summary: "changes brightness, contrast and saturation of images from 0 to 255 at random",
        params: &[
            Param::with("brightness", Kind::NonNegative, "0", "the most that its factor differs from 1"),
            Param::with("contrast", Kind::NonNegative, "0", "the most that its factor differs from 1"),
            Param::with("saturation", Kind::NonNegative, "0", "the most that its factor differs from 1"),
            ON,
        ],
    },
    make,
};

struct Color {
    /// Of brightness, contrast, saturation.
    amounts: [f64; 3],
    chance: Chance,
}

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    if field.is_target {
        return Err(Fault::new("`color` changes images, and this field is a target"));
    }
    let dims = form.as_image("color")?.to_vec();
    let amounts = ["brightness", "contrast", "saturation"].map(|name| args.float(name));
    let step = Color { amounts, chance: Chance::new(args, "color", field.nth) };
    Ok((Box::new(step), Form { kind: FormKind::Numbers, dims }))
}

impl Step for Color {
    fn apply(&self, example: Example, row: Row) -> Result<Example, Fault> {
        let Some((dims, mut data)) = example.into_numbers()? else { return Ok(Example::Missing) };
        let Some(mut random) = self.chance.at(row) else { return Ok(Example::Numbers { dims, data }) };
        let [brightness, contrast, saturation] =
            self.amounts.map(|amount| random.within((1.0 - amount).max(0.0), 1.0 + amount) as f32);
        let area: usize = dims[1..].iter().product();
        if !matches!(dims[0], 1 | 3) || area == 0 {
            return Err(Fault::new(format!("`color` takes images of 1 or 3 channels, and got {}", dims[0]))
                .help("put `rgb` or `gray` before it"));
        }
        let cut = |x: f32| x.clamp(0.0, 255.0);
        data.iter_mut().for_each(|x| *x = cut(*x * brightness));
        let mean = (0..area).map(|i| f64::from(gray(&data, area, i))).sum::<f64>() / area as f64;
        data.iter_mut().for_each(|x| *x = cut(mean as f32 + (*x - mean as f32) * contrast));
        if dims[0] == 3 {
            for i in 0..area {
                let gray = gray(&data, area, i);
                (0..3).for_each(|c| data[c * area + i] = cut(gray + (data[c * area + i] - gray) * saturation));
            }
        }
        Ok(Example::Numbers { dims, data })
    }
}

/// The gray of pixel `i` of an image with one channel or three.
fn gray(data: &[f32], area: usize, i: usize) -> f32 {
    match data.len() / area {
        3 => 0.299 * data[i] + 0.587 * data[area + i] + 0.114 * data[2 * area + i],
        _ => data[i],
    }
}
