//! `resize`: images of any size to one size, bilinear with half-pixel centres.
//!
//! Output pixel `i` looks at `s = max(0, (i + ½) · in / out − ½)` and blends pixels `⌊s⌋` and `⌊s⌋ + 1` (the last one again at the
//! edge) by the fraction of `s`. There is no antialiasing, so results equal PyTorch's `interpolate(mode="bilinear",
//! align_corners=False)`.

use super::{Field, Made, Pure, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::form::{Example, Fault, Form, FormKind};

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "resize",
        kind: PartKind::Step,
        summary: "images of any size to one size, bilinear with half-pixel centres",
        params: &[
            Param::required("height", Kind::Count, "in pixels"),
            Param::optional("width", Kind::Count, "in pixels; the height when it is absent"),
        ],
    },
    make,
};

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    if field.ty.classes.is_some() {
        return Err(
            Fault::new("`resize` would blend class indices").help("store the class map at the size of the target")
        );
    }
    let [channels, ..] = form.as_image("resize")?;
    let height = args.size("height");
    let width = if args.has("width") { args.size("width") } else { height };
    if height.saturating_mul(width) > 1 << 28 {
        return Err(Fault::new(format!("an image of {height} by {width} is too large")));
    }
    let out = Form { kind: FormKind::Numbers, dims: vec![channels, Some(height), Some(width)] };
    Ok((Box::new(Pure(move |example| resize(example, height, width))), out))
}

/// An image at another size.
pub fn resize(example: Example, height: usize, width: usize) -> Result<Example, Fault> {
    let Some((dims, data)) = example.into_numbers()? else { return Ok(Example::Missing) };
    let [channels, h, w] = dims[..] else { return Err(Fault::new("an example is no image")) };
    let (rows, columns) = (taps(h, height), taps(w, width));
    let mut resized = Vec::with_capacity(channels * height * width);
    for channel in data.chunks_exact(h * w) {
        for &(top, bottom, down) in &rows {
            let (top, bottom) = (&channel[top * w..][..w], &channel[bottom * w..][..w]);
            for &(left, right, across) in &columns {
                let upper = top[left] * (1.0 - across) + top[right] * across;
                let lower = bottom[left] * (1.0 - across) + bottom[right] * across;
                resized.push(upper * (1.0 - down) + lower * down);
            }
        }
    }
    Ok(Example::Numbers { dims: vec![channels, height, width], data: resized })
}

/// For each output pixel of one axis: the two input pixels it blends and the share of the second.
fn taps(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|i| {
            let s = ((i as f32 + 0.5) * scale - 0.5).max(0.0);
            let low = (s as usize).min(from - 1);
            (low, (low + 1).min(from - 1), s - low as f32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_pixel_centres() {
        let image = |w: usize, data: &[f32]| Example::Numbers { dims: vec![1, data.len() / w, w], data: data.to_vec() };
        // Centres of four pixels over two lie at -0.25 (clamped to 0), 0.25, 0.75 and 1.25 (clamped to 1).
        assert_eq!(resize(image(2, &[0.0, 4.0]), 1, 4), Ok(image(4, &[0.0, 1.0, 3.0, 4.0])));
        // Without antialiasing, one pixel of four looks at position 1.5 in each direction.
        let ramp: Vec<f32> = (0..16).map(|i| i as f32).collect();
        assert_eq!(resize(image(4, &ramp), 1, 1), Ok(image(1, &[7.5])));
        assert_eq!(resize(image(4, &ramp), 4, 4), Ok(image(4, &ramp)));
    }
}
