//! What convolutions and pools share: the arguments of a window over an image.

use crate::base::Type;
use crate::base::signature::{Args, Kind, Param, Value};
use crate::ops::Mismatch;

/// The `padding` argument of everything that moves a window.
pub const PADDING: Param = Param::with(
    "padding",
    Kind::Either(&[Kind::Whole, Kind::Word(&["same", "valid", "tensorflow"])]),
    "same",
    "pixels of zeros on each side; `same`: (kernel − 1) / 2 of them, so that stride 1 keeps the size; `valid`: none; \
     `tensorflow`: as TensorFlow's SAME, where what is odd goes to the bottom and right",
);

/// A size that may differ by axis: `3`, or `[3, 5]` for height and width.
pub const PAIR: Kind = Kind::Either(&[Kind::Count, Kind::List(&Kind::Count)]);

/// The pair of a [`PAIR`] argument.
pub fn pair(args: &Args, name: &str) -> Result<[usize; 2], Mismatch> {
    match args.get(name).map(|arg| &arg.value) {
        Some(Value::List(list)) => {
            let sizes: Vec<usize> = list.iter().filter_map(|a| a.value.as_int()).map(|n| n as usize).collect();
            sizes.try_into().map_err(|_| Mismatch::new(format!("`{name}` lists a height and a width")))
        }
        _ => Ok([args.size(name); 2]),
    }
}

/// Height and width of a feature map `[channels, height, width]`.
pub fn feature_map(layer: &str, ty: &Type) -> Result<[usize; 3], Mismatch> {
    ty.inner().try_into().map_err(|_| {
        Mismatch::new(format!("`{layer}` takes a feature map [channels, height, width], and gets {}", ty.example()))
            .help("`reshape(channels, height, width)` makes one of a vector")
    })
}

/// The padding in pixels, as top, bottom, left, right.
pub fn padding(
    args: &Args,
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> [usize; 4] {
    let each = |axis: usize| -> [usize; 2] {
        let reach = dilation[axis] * (kernel[axis] - 1);
        match &args.get("padding").expect("declared by `PADDING`").value {
            Value::Int(n) => [*n as usize; 2],
            Value::Word(word) if word == "valid" => [0; 2],
            Value::Word(word) if word == "tensorflow" => {
                let out = size[axis].div_ceil(stride[axis]);
                let total = ((out.max(1) - 1) * stride[axis] + reach + 1).saturating_sub(size[axis]);
                [total / 2, total - total / 2]
            }
            _ => [reach / 2; 2],
        }
    };
    let ([top, bottom], [left, right]) = (each(0), each(1));
    [top, bottom, left, right]
}

/// Whether a window fits into the image with its padding, once at least.
pub fn window_fits(
    layer: &str,
    size: [usize; 2],
    kernel: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 4],
) -> Result<(), Mismatch> {
    let window = [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1) + 1);
    let room = [size[0] + padding[0] + padding[1], size[1] + padding[2] + padding[3]];
    if window[0] <= room[0] && window[1] <= room[1] {
        return Ok(());
    }
    let ([a, b], [c, d]) = (window, room);
    let message = format!("the window of `{layer}` spans {a}×{b} pixels, and the image with its padding has {c}×{d}");
    Err(Mismatch::new(message).help("use a smaller window, more padding, or fewer strides and pools before it"))
}
