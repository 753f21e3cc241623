//! `rgb`: images of three channels: gray is repeated, alpha is dropped.

use super::{Field, Made, Pure, StepKind};
use crate::base::signature::{Args, PartKind, Signature};
use crate::data::form::{Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "rgb",
        kind: PartKind::Step,
        summary: "images of three channels: gray is repeated, alpha is dropped",
        params: &[],
    },
    make,
};

fn make(_: &Args, form: &Form, _: &Field) -> Result<Made, Fault> {
    let [channels, height, width] = form.as_image("rgb")?;
    if let Some(channels) = channels {
        check(channels)?;
    }
    Ok((Box::new(Pure(rgb)), Form { kind: FormKind::Numbers, dims: vec![Some(3), height, width] }))
}

fn check(channels: usize) -> Result<(), Fault> {
    match channels {
        1..=4 => Ok(()),
        _ => Err(Fault::new(format!("`rgb` takes images of 1 to 4 channels, and got {channels}"))
            .help("an array of shape [rows, height, width, channels] takes `-> channels_first` before it")),
    }
}

fn rgb(example: Example) -> Result<Example, Fault> {
    let Some((dims, mut data)) = example.into_numbers()? else { return Ok(Example::Missing) };
    let [channels, height, width] = dims[..] else { return Err(Fault::new("an example is no image")) };
    check(channels)?;
    let area = height * width;
    if channels < 3 {
        data.truncate(area);
        data.extend_from_within(..);
        data.extend_from_within(..area);
    }
    data.truncate(3 * area);
    Ok(Example::Numbers { dims: vec![3, height, width], data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gray_is_repeated_and_alpha_dropped() {
        let image = |channels, data: &[f32]| Example::Numbers { dims: vec![channels, 1, 2], data: data.to_vec() };
        assert_eq!(rgb(image(1, &[1., 2.])), Ok(image(3, &[1., 2., 1., 2., 1., 2.])));
        assert_eq!(rgb(image(2, &[1., 2., 9., 9.])), Ok(image(3, &[1., 2., 1., 2., 1., 2.])));
        assert_eq!(rgb(image(4, &[1., 2., 3., 4., 5., 6., 9., 9.])), Ok(image(3, &[1., 2., 3., 4., 5., 6.])));
        assert!(rgb(image(5, &[0.; 10])).is_err());
    }
}
