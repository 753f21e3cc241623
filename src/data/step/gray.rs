//! `gray`: images of one channel, `0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601); alpha is dropped.

use super::{Field, Made, Pure, StepKind};
use crate::base::signature::{Args, PartKind, Signature};
use crate::data::form::{Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "gray",
        kind: PartKind::Step,
        summary: "images of one channel, 0.299 R + 0.587 G + 0.114 B; alpha is dropped",
        params: &[],
    },
    make,
};

fn make(_: &Args, form: &Form, _: &Field) -> Result<Made, Fault> {
    let [channels, height, width] = form.as_image("gray")?;
    if let Some(channels) = channels {
        check(channels)?;
    }
    Ok((Box::new(Pure(gray)), Form { kind: FormKind::Numbers, dims: vec![Some(1), height, width] }))
}

fn check(channels: usize) -> Result<(), Fault> {
    match channels {
        1..=4 => Ok(()),
        _ => Err(Fault::new(format!("`gray` takes images of 1 to 4 channels, and got {channels}"))
            .help("an array of shape [rows, height, width, channels] takes `-> channels_first` before it")),
    }
}

fn gray(example: Example) -> Result<Example, Fault> {
    let Some((dims, mut data)) = example.into_numbers()? else { return Ok(Example::Missing) };
    let [channels, height, width] = dims[..] else { return Err(Fault::new("an example is no image")) };
    check(channels)?;
    let area = height * width;
    if channels >= 3 {
        for i in 0..area {
            data[i] = 0.299 * data[i] + 0.587 * data[area + i] + 0.114 * data[2 * area + i];
        }
    }
    data.truncate(area);
    Ok(Example::Numbers { dims: vec![1, height, width], data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_of_three_channels() {
        let image = |channels, data: &[f32]| Example::Numbers { dims: vec![channels, 1, 1], data: data.to_vec() };
        assert_eq!(gray(image(3, &[100., 0., 0.])), Ok(image(1, &[29.9])));
        assert_eq!(gray(image(4, &[0., 1000., 0., 7.])), Ok(image(1, &[587.])));
        assert_eq!(gray(image(2, &[5., 7.])), Ok(image(1, &[5.])));
    }
}
