//! `channels_first`: from `[height, width, channels]`, as NumPy arrays of images have it, to `[channels, height, width]`.

use super::{Field, Made, Pure, StepKind};
use crate::base::signature::{Args, PartKind, Signature};
use crate::data::form::{Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "channels_first",
        kind: PartKind::Step,
        summary: "from [height, width, channels] to [channels, height, width]",
        params: &[],
    },
    make,
};

fn make(_: &Args, form: &Form, _: &Field) -> Result<Made, Fault> {
    let [height, width, channels] = form.as_image("channels_first")?;
    Ok((Box::new(Pure(turn)), Form { kind: FormKind::Numbers, dims: vec![channels, height, width] }))
}

fn turn(example: Example) -> Result<Example, Fault> {
    let Some((dims, data)) = example.into_numbers()? else { return Ok(Example::Missing) };
    let [height, width, channels] = dims[..] else { return Err(Fault::new("an example is no image")) };
    let data = (0..channels).flat_map(|c| data.iter().skip(c).step_by(channels)).copied().collect();
    Ok(Example::Numbers { dims: vec![channels, height, width], data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_come_apart() {
        let pixels = Example::Numbers { dims: vec![1, 2, 3], data: vec![1., 2., 3., 4., 5., 6.] };
        let planes = Example::Numbers { dims: vec![3, 1, 2], data: vec![1., 4., 2., 5., 3., 6.] };
        assert_eq!(turn(pixels), Ok(planes));
    }
}
