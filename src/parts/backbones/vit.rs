//! Vision transformers of patches of 16×16, tiny and small, with timm's names.

use super::{Backbone, Ending, Expects, Family, Scheme, Text};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

static TEXT: Text = Text::new("vit.mtl", include_str!("vit.mtl"));

pub const FAMILY: Family = Family { backbones: BACKBONES, text: &TEXT };

const BACKBONES: &[Backbone] = &[
    vit(&const { signature("vit_tiny_patch16_224", "ViT-Ti/16: `[3, 224, 224]` to `[192]`, 5.5 million parameters") }),
    vit(&const { signature("vit_small_patch16_224", "ViT-S/16: `[3, 224, 224]` to `[384]`, 21.7 million parameters") }),
];

/// The argument of transformers.
pub const DROPOUT: Param =
    Param::with("dropout", Kind::Fraction, "0", "while training, behind attention and feed-forward part");

const FEATURES: Param = Param::with(
    "features",
    Kind::Word(&["pooled", "tokens"]),
    "pooled",
    "what comes out: the vector of the class token, or all tokens, the class token first",
);

const fn signature(name: &'static str, summary: &'static str) -> Signature {
    Signature { name, kind: PartKind::Backbone, summary, params: &[FEATURES, DROPOUT] }
}

const fn vit(signature: &'static Signature) -> Backbone {
    Backbone {
        signature,
        endings: &[("pooled", Some(Ending { stage: "pool", block: "pooled" })), ("tokens", None)],
        schemes,
        expects: Expects::Image { size: 224, mean: [127.5; 3], std: [127.5; 3] },
        config: None,
    }
}

fn schemes(_: &Args) -> Vec<Scheme> {
    let rules = [
        ("cls_token", "embeddings.first.weight"),
        ("pos_embed", "embeddings.position.weight"),
        ("patch_embed.proj.*", "embeddings.patches.*"),
        ("blocks.*.norm1.*", "encoder.*.attention.norm.*"),
        ("blocks.*.attn.qkv.*[0/3]", "encoder.*.attention.mix.query.*"),
        ("blocks.*.attn.qkv.*[1/3]", "encoder.*.attention.mix.key.*"),
        ("blocks.*.attn.qkv.*[2/3]", "encoder.*.attention.mix.value.*"),
        ("blocks.*.attn.proj.*", "encoder.*.attention.mix.output.*"),
        ("blocks.*.norm2.*", "encoder.*.feed.norm.*"),
        ("blocks.*.mlp.fc1.*", "encoder.*.feed.inner.*"),
        ("blocks.*.mlp.fc2.*", "encoder.*.feed.outer.*"),
        ("norm.*", "norm.*"),
    ];
    vec![Scheme::new("timm", &rules, "head.*")]
}
