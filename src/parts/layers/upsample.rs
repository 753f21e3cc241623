//! `upsample(factor)`: enlarges a feature map without parameters.

use super::Layer;
use super::spatial::feature_map;
use crate::base::signature::{Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops::{self, upsample::Mode};
use crate::parts::cell::{Cell, Fault};

pub struct Upsample;

static SIGNATURE: Signature = Signature {
    name: "upsample",
    kind: PartKind::Layer,
    summary: "enlarge a feature map: `[c, h, w]` to `[c, factor · h, factor · w]`",
    params: &[
        Param::required("factor", Kind::Count, "how many times larger"),
        Param::with(
            "mode",
            Kind::Word(&["nearest", "bilinear", "bilinear_aligned"]),
            "bilinear",
            "`bilinear` samples at half-pixel centres, `bilinear_aligned` aligns the corner pixels",
        ),
    ],
};

impl Layer for Upsample {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn kind(&self) -> &'static str {
        "shape"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let [_, height, width] = feature_map("upsample", &cell.ty(x))?;
        let factor = cell.args.size("factor");
        let mode = match cell.args.text("mode") {
            "nearest" => Mode::Nearest,
            "bilinear" => Mode::Bilinear,
            _ => Mode::BilinearAligned,
        };
        cell.op(ops::upsample::Upsample { size: [height * factor, width * factor], mode }, &[x])
    }
}
