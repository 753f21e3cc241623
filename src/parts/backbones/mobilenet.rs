//! MobileNetV2, and MobileNetV3 large and small, with the names of torchvision and of timm.

use super::efficientnet::EPSILON;
use super::inverted::{Stages, timm, torchvision};
use super::{Backbone, Ending, FEATURES, Family, IMAGENET, POOLED, Scheme, Text};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

static TEXT: Text = Text::new("mobilenet.mtl", include_str!("mobilenet.mtl"));

pub const FAMILY: Family = Family { backbones: BACKBONES, text: &TEXT };

const BACKBONES: &[Backbone] = &[
    Backbone {
        signature: &Signature {
            name: "mobilenet_v2",
            kind: PartKind::Backbone,
            summary: "MobileNetV2: `[3, h, w]` to `[1280]`, 2.2 million parameters",
            params: &[FEATURES],
        },
        endings: POOLED,
        schemes: v2,
        expects: IMAGENET,
        config: None,
    },
    v3(
        &const { signature("mobilenet_v3_large", "MobileNetV3 large: `[3, h, w]` to `[1280]`, 4.2 million parameters") },
        &[("pooled", Some(Ending { stage: "pool", block: "pooled_large" })), ("map", None)],
        large,
    ),
    v3(
        &const { signature("mobilenet_v3_small", "MobileNetV3 small: `[3, h, w]` to `[1024]`, 1.5 million parameters") },
        &[("pooled", Some(Ending { stage: "pool", block: "pooled_small" })), ("map", None)],
        small,
    ),
];

const PADDING: Param = Param::with(
    "padding",
    Kind::Word(&["same", "tensorflow"]),
    "same",
    "as `padding` of `conv`: `tensorflow` for weights from TensorFlow, `same` for all others",
);

const fn signature(name: &'static str, summary: &'static str) -> Signature {
    Signature { name, kind: PartKind::Backbone, summary, params: &[FEATURES, EPSILON, PADDING] }
}

const fn v3(
    signature: &'static Signature,
    endings: &'static [(&'static str, Option<Ending>)],
    schemes: fn(&Args) -> Vec<Scheme>,
) -> Backbone {
    Backbone { signature, endings, schemes, expects: IMAGENET, config: None }
}

fn v2(_: &Args) -> Vec<Scheme> {
    let stages = &["dp", "edp edp", "edp edp edp", "edp edp edp edp", "edp edp edp", "edp edp edp", "edp"];
    let head = [("conv_head.*", "head.0.*"), ("bn2.*", "head.1.*")];
    vec![torchvision(stages, "conv", &[], "classifier.1.*"), timm(stages, &head, "classifier.*")]
}

fn large(args: &Args) -> Vec<Scheme> {
    let stages = &["dp", "edp edp", "edsp edsp edsp", "edp edp edp edp", "edsp edsp", "edsp edsp edsp"];
    v3_schemes(args, stages, [("blocks.6.0.conv.*", "head.0.*"), ("blocks.6.0.bn1.*", "head.1.*")])
}

fn small(args: &Args) -> Vec<Scheme> {
    let stages = &["dsp", "edp edp", "edsp edsp edsp", "edsp edsp", "edsp edsp edsp"];
    v3_schemes(args, stages, [("blocks.5.0.conv.*", "head.0.*"), ("blocks.5.0.bn1.*", "head.1.*")])
}

/// The linear layer behind the pool belongs to the pooled features, and is of no use to a map.
fn v3_schemes(args: &Args, stages: Stages, head: [(&str, &str); 2]) -> Vec<Scheme> {
    let [mut torchvision, mut timm] =
        [torchvision(stages, "block", &[], "classifier.3.*"), timm(stages, &head, "classifier.*")];
    for (scheme, wide) in [(&mut torchvision, "classifier.0.*"), (&mut timm, "conv_head.*")] {
        match args.text("features") {
            "map" => scheme.unused.push(wide.into()),
            _ => scheme.rules.push((wide.into(), "pool.wide.*".into())),
        }
    }
    vec![torchvision, timm]
}
