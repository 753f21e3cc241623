//! `detect(classes)`: the end of a head that finds objects: a box for each cell of a feature map.

use super::Layer;
use super::conv::product;
use super::spatial::feature_map;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::{Init, ValueId};
use crate::ops::{self, Mismatch};
use crate::parts::cell::{Cell, Fault, fan_in};

pub struct Detect;

static SIGNATURE: Signature = Signature {
    name: "detect",
    kind: PartKind::Layer,
    summary: "a box for each cell of a feature map, by the branches `class`, `quality` and `box`: `[c, h, w]` to `[h · w, classes + 7]`",
    params: &[Param::required("classes", Kind::Count, "how many classes the target `boxes` has")],
};

/// What the class branch begins with, so that the many cells without an object do not drown the others: ln(0.01 / 0.99), as in
/// RetinaNet (Lin et al. 2017, arXiv 1708.02002).
const PRIOR: f64 = -4.59511985013459;

impl Layer for Detect {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "conv"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [channels, height, width] = feature_map("detect", &cell.ty(x))?;
        let stride = strides(cell, x, [height, width])?;
        let classes = cell.args.size("classes");
        let mut branch = |name: &str, out: usize, bias: Init| {
            cell.within(name, "conv", |cell| {
                let weight = cell.weight("weight", &[out, channels, 1, 1], fan_in(channels));
                let bias = cell.weight("bias", &[out], bias);
                let (epilogue, precision) = Default::default();
                let (stride, padding, dilation) = ([1; 2], [0; 4], [1; 2]);
                let op = ops::conv2d::Conv2d { stride, padding, dilation, groups: 1, bias: true, epilogue, precision };
                product(cell, op, x, weight, Some(bias))
            })
        };
        let class = branch("class", classes, Init::Constant(PRIOR))?;
        let quality = branch("quality", 1, Init::Zeros)?;
        // Distances begin at one stride: softplus(0.54) = 1.
        let sides = branch("box", 4, Init::Constant(0.54))?;
        let map = cell.op(ops::concat::Concat { axis: 1 }, &[class, quality, sides])?;
        cell.op(ops::detect::Detect { stride }, &[map])
    }
}

/// Pixels of the image for each cell of the map, down and to the right.
fn strides(cell: &Cell<'_>, x: ValueId, map: [usize; 2]) -> Result<[usize; 2], Mismatch> {
    let images = cell.graph.images_below(x);
    let [image] = images[..] else {
        let message = match images.len() {
            0 => "`detect` gives boxes in pixels of an image, and no image lies below".into(),
            _ => format!("`detect` gives boxes in pixels of one image, and below lie images of {images:?}"),
        };
        return Err(Mismatch::new(message).help("let it follow from one input, f32[channels, height, width]"));
    };
    let [h, w] = map;
    if !image[0].is_multiple_of(h) || !image[1].is_multiple_of(w) {
        let message =
            format!("cells of a map of {h} by {w} are no whole pixels of the image of {} by {}", image[0], image[1]);
        return Err(Mismatch::new(message).help("choose strides whose product divides height and width of the image"));
    }
    Ok([image[0] / h, image[1] / w])
}
