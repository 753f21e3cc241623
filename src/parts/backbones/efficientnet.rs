//! EfficientNet-Lite 0, 1 and 2, with the names of the PyTorch ports of TensorFlow's weights, and timm's.

use super::inverted::{Stages, efficientnet_pytorch, timm};
use super::{Backbone, Expects, FEATURES, Family, POOLED, Scheme, Text};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

static TEXT: Text = Text::new("efficientnet.mtl", include_str!("efficientnet.mtl"));

pub const FAMILY: Family = Family { backbones: BACKBONES, text: &TEXT };

const BACKBONES: &[Backbone] = &[
    lite(
        &const { signature("efficientnet_lite0", "EfficientNet-Lite0: `[3, h, w]` to `[1280]`, 3.4 million parameters") },
        lite0,
        224,
    ),
    lite(
        &const { signature("efficientnet_lite1", "EfficientNet-Lite1: `[3, h, w]` to `[1280]`, 4.1 million parameters") },
        lite1,
        240,
    ),
    lite(
        &const { signature("efficientnet_lite2", "EfficientNet-Lite2: `[3, h, w]` to `[1280]`, 4.8 million parameters") },
        lite1,
        260,
    ),
];

/// The argument of networks whose published weights differ in it.
pub const EPSILON: Param = Param::with(
    "epsilon",
    Kind::Positive,
    "1e-3",
    "added to the variance in every norm: 1e-3 for weights from TensorFlow and torchvision, 1e-5 for timm's own",
);

const PADDING: Param = Param::with(
    "padding",
    Kind::Word(&["tensorflow", "same"]),
    "tensorflow",
    "as `padding` of `conv`: `tensorflow` for weights from TensorFlow, `same` for timm's own",
);

const fn signature(name: &'static str, summary: &'static str) -> Signature {
    Signature { name, kind: PartKind::Backbone, summary, params: &[FEATURES, EPSILON, PADDING] }
}

/// `(x − 127) / 128`, in images of `size` pixels.
const fn lite(signature: &'static Signature, schemes: fn(&Args) -> Vec<Scheme>, size: usize) -> Backbone {
    let expects = Expects::Image { size, mean: [127.0; 3], std: [128.0; 3] };
    Backbone { signature, endings: POOLED, schemes, expects, config: None }
}

fn lite0(_: &Args) -> Vec<Scheme> {
    schemes(&["dp", "edp edp", "edp edp", "edp edp edp", "edp edp edp", "edp edp edp edp", "edp"])
}

fn lite1(_: &Args) -> Vec<Scheme> {
    schemes(&["dp", "edp edp edp", "edp edp edp", "edp edp edp edp", "edp edp edp edp", "edp edp edp edp edp", "edp"])
}

fn schemes(stages: Stages) -> Vec<Scheme> {
    let head = [("conv_head.*", "head.0.*"), ("bn2.*", "head.1.*")];
    vec![efficientnet_pytorch(stages), timm(stages, &head, "classifier.*")]
}
