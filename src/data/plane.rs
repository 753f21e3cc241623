//! Images and maps of classes as planes of pixels, for steps that only move pixels.

use super::form::{Example, Fault, Form, FormKind};

/// Height and width in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    pub height: usize,
    pub width: usize,
}

/// Checks that a step gets images `[channels, height, width]` or maps `[height, width]`. Gives the axes before the last two.
pub fn plane(step: &str, form: &Form) -> Result<Vec<Option<usize>>, Fault> {
    match (form.kind, &form.dims[..]) {
        (FormKind::Numbers | FormKind::Integers, [before @ .., _, _]) if before.len() <= 1 => Ok(before.to_vec()),
        _ => Err(Fault::new(format!(
            "`{step}` takes images, f32[channels, height, width], or maps, [height, width], and got {form}"
        ))
        .help("`-> reshape(1, height, width)` makes an image of numbers")),
    }
}

/// Moves pixels. `plan` sees the size and gives the new one, and for each new pixel the old one that goes there, or none for
/// a border: `border` among numbers, and a missing class among integers.
pub fn gather<F: Fn(usize, usize) -> Option<(usize, usize)>>(
    example: Example,
    border: f32,
    plan: impl FnOnce(Plane) -> Result<(Plane, F), Fault>,
) -> Result<Example, Fault> {
    fn moved<T: Copy, F: Fn(usize, usize) -> Option<(usize, usize)>>(
        dims: &mut [usize],
        data: &[T],
        border: T,
        plan: impl FnOnce(Plane) -> Result<(Plane, F), Fault>,
    ) -> Result<Vec<T>, Fault> {
        let [.., height, width] = dims else { return Err(Fault::new("an example is no image")) };
        let (old, (new, from)) = ((*height, *width), plan(Plane { height: *height, width: *width })?);
        (*height, *width) = (new.height, new.width);
        let planes = data.len().checked_div(old.0 * old.1).unwrap_or(0);
        let mut result = Vec::with_capacity(planes * new.height * new.width);
        for plane in 0..planes {
            let pixels = &data[plane * old.0 * old.1..][..old.0 * old.1];
            for y in 0..new.height {
                result.extend((0..new.width).map(|x| from(y, x).map_or(border, |(y, x)| pixels[y * old.1 + x])));
            }
        }
        Ok(result)
    }
    Ok(match example {
        Example::Numbers { mut dims, data } => {
            let data = moved(&mut dims, &data, border, plan)?;
            Example::Numbers { dims, data }
        }
        Example::Ids { mut dims, data } => {
            let data = moved(&mut dims, &data, -1, plan)?;
            Example::Ids { dims, data }
        }
        other => other,
    })
}
