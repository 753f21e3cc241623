//! `log1p`: `y = ln(1 + x)` for values above −1, such as counts; predictions are undone with `eˣ − 1`.

use super::{Row, Step, StepKind};
use crate::base::signature::{PartKind, Signature};
use crate::data::form::{Example, Fault};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "log1p",
        kind: PartKind::Step,
        summary: "ln(1 + x), for counts and other values above -1",
        params: &[],
    },
    make: |_, form, _| Ok((Box::new(Log1p), form.as_numbers("log1p")?)),
};

struct Log1p;

impl Step for Log1p {
    fn apply(&self, example: Example, _: Row) -> Result<Example, Fault> {
        let Some((dims, mut data)) = example.into_numbers()? else { return Ok(Example::Missing) };
        if let Some(i) = data.iter().position(|&x| x <= -1.0) {
            return Err(Fault::new(format!("`log1p` takes values above -1, and got `{}`", data[i])).element(i));
        }
        data.iter_mut().for_each(|x| *x = libm::log1pf(*x));
        Ok(Example::Numbers { dims, data })
    }

    fn invert(&self, values: &mut [f32]) {
        values.iter_mut().for_each(|x| *x = libm::expm1f(*x));
    }
}
