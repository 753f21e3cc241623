//! ResNet-18, 34 and 50, with torchvision's names, which timm shares.

use super::{Backbone, FEATURES, Family, IMAGENET, POOLED, Scheme, Text};
use crate::base::signature::{Args, PartKind, Signature};

static TEXT: Text = Text::new("resnet.mtl", include_str!("resnet.mtl"));

pub const FAMILY: Family = Family { backbones: BACKBONES, text: &TEXT };

const fn resnet(signature: &'static Signature) -> Backbone {
    Backbone { signature, endings: POOLED, schemes, expects: IMAGENET, config: None }
}

const fn signature(name: &'static str, summary: &'static str) -> Signature {
    Signature { name, kind: PartKind::Backbone, summary, params: &[FEATURES] }
}

const BACKBONES: &[Backbone] = &[
    resnet(&const { signature("resnet18", "ResNet-18: `[3, h, w]` to `[512]`, 11.2 million parameters") }),
    resnet(&const { signature("resnet34", "ResNet-34: `[3, h, w]` to `[512]`, 21.3 million parameters") }),
    resnet(&const { signature("resnet50", "ResNet-50: `[3, h, w]` to `[2048]`, 23.5 million parameters") }),
];

fn schemes(_: &Args) -> Vec<Scheme> {
    let rules = [
        ("conv1.*", "stem.conv.*"),
        ("bn1.*", "stem.norm.*"),
        ("layer*.*.conv*", "layer*.*.body.conv*"),
        ("layer*.*.bn*", "layer*.*.body.bn*"),
        ("layer*.*.downsample.*", "layer*.*.body.shortcut.*"),
    ];
    vec![Scheme::new("torchvision", &rules, "fc.*")]
}
