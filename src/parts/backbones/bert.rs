//! BERT encoders of any size, MiniLM-L6 and BERT base among them, with the names of transformers' `BertModel`.

use super::vit::DROPOUT;
use super::{Backbone, Ending, Expects, Family, Scheme, Text};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use serde_json::Value as Json;

static TEXT: Text = Text::new("bert.mtl", include_str!("bert.mtl"));

pub const FAMILY: Family = Family { backbones: BACKBONES, text: &TEXT };

const FEATURES: Param = Param::with(
    "features",
    Kind::Word(&["tokens", "mean", "sentence", "first", "pooler"]),
    "tokens",
    "what comes out: all tokens `[tokens, width]`, their mean without padding, the mean at length 1, the first token's vector, or \
     that behind the linear layer and tanh that BERT was trained with",
);

static MINILM: Signature = Signature {
    name: "minilm_l6",
    kind: PartKind::Backbone,
    summary: "MiniLM-L6, of 6 layers: `tokens[n]` to `[n, 384]`, 22.6 million parameters",
    params: &[FEATURES, DROPOUT],
};

static BASE: Signature = Signature {
    name: "bert_base",
    kind: PartKind::Backbone,
    summary: "BERT base, of 12 layers: `tokens[n]` to `[n, 768]`, 108.9 million parameters",
    params: &[FEATURES, DROPOUT],
};

static BERT: Signature = Signature {
    name: "bert",
    kind: PartKind::Backbone,
    summary: "an encoder built like BERT, of any size: `tokens[n]` to `[n, width]`",
    params: &[
        Param::required("vocabulary", Kind::Count, "number of different tokens; id 0 is padding"),
        Param::required("width", Kind::Count, "size of a token's vector"),
        Param::required("layers", Kind::Count, "encoder layers"),
        Param::required("heads", Kind::Count, "heads of the attention; must divide the width"),
        Param::required("hidden", Kind::Count, "width of the feed-forward part"),
        FEATURES,
        Param::with("positions", Kind::Count, "512", "the most tokens of a sequence"),
        Param::with("segments", Kind::Count, "2", "kinds of segments that the weights know"),
        Param::with("epsilon", Kind::Positive, "1e-12", "added to the variance in every norm"),
        DROPOUT,
    ],
};

const BACKBONES: &[Backbone] = &[
    bert(&MINILM, &const { endings("pooler_minilm") }, |args| schemes(6, args), minilm),
    bert(&BASE, &const { endings("pooler_base") }, |args| schemes(12, args), base),
    bert(&BERT, &const { endings("pooler") }, |args| schemes(args.size("layers"), args), any),
];

type Endings = [(&'static str, Option<Ending>); 5];

const fn endings(pooler: &'static str) -> Endings {
    const fn pool(block: &'static str) -> Option<Ending> {
        Some(Ending { stage: "pool", block })
    }
    [
        ("tokens", None),
        ("mean", pool("mean")),
        ("sentence", pool("sentence")),
        ("first", pool("first")),
        ("pooler", pool(pooler)),
    ]
}

const fn bert(
    signature: &'static Signature,
    endings: &'static Endings,
    schemes: fn(&Args) -> Vec<Scheme>,
    config: fn(&Args, &Json) -> Vec<String>,
) -> Backbone {
    Backbone { signature, endings, schemes, expects: Expects::Tokens, config: Some(config) }
}

/// Layers of a network, and whether it has BERT's own end.
fn schemes(layers: usize, args: &Args) -> Vec<Scheme> {
    let with_pooler = args.text("features") == "pooler";
    ["", "bert."].map(|prefix| scheme(prefix, layers, with_pooler)).into()
}

/// Names behind a prefix, which files of a model with a task's own head have.
fn scheme(prefix: &str, layers: usize, with_pooler: bool) -> Scheme {
    let mut rules: Vec<(String, String)> = vec![];
    let mut add = |from: &str, to: &str| rules.push((format!("{prefix}{from}"), to.to_string()));
    add("embeddings.word_embeddings.weight", "embeddings.words.weight");
    add("embeddings.position_embeddings.weight", "embeddings.places.weight");
    add("embeddings.token_type_embeddings.weight", "embeddings.segment.weight");
    add("embeddings.LayerNorm.*", "embeddings.norm.*");
    let inside = [
        ("attention.self.query", "attention.mix.query"),
        ("attention.self.key", "attention.mix.key"),
        ("attention.self.value", "attention.mix.value"),
        ("attention.output.dense", "attention.mix.output"),
        ("attention.output.LayerNorm", "attention_norm"),
        ("intermediate.dense", "feed.inner"),
        ("output.dense", "feed.outer"),
        ("output.LayerNorm", "feed_norm"),
    ];
    // Each layer by its number: with a `*` there, `output.dense` would be that of the attention too.
    for (i, (from, to)) in (0..layers).flat_map(|i| inside.iter().map(move |names| (i, names))) {
        add(&format!("encoder.layer.{i}.{from}.*"), &format!("encoder.{i}.{to}.*"));
    }
    let mut unused = vec![format!("{prefix}embeddings.position_ids")];
    if with_pooler {
        add("pooler.dense.*", "pool.dense.*");
    } else {
        unused.push(format!("{prefix}pooler.*"));
    }
    if !prefix.is_empty() {
        unused.extend(["cls.*", "classifier.*", "qa_outputs.*"].map(String::from));
    }
    let name = if prefix.is_empty() { "transformers" } else { "transformers, with a task's head" };
    Scheme { name, rules, unused, classes: None }
}

fn minilm(_: &Args, config: &Json) -> Vec<String> {
    differences(config, [30522, 384, 6, 12, 1536, 512, 2], 1e-12)
}

fn base(_: &Args, config: &Json) -> Vec<String> {
    differences(config, [30522, 768, 12, 12, 3072, 512, 2], 1e-12)
}

fn any(args: &Args, config: &Json) -> Vec<String> {
    let sizes = ["vocabulary", "width", "layers", "heads", "hidden", "positions", "segments"];
    differences(config, sizes.map(|name| args.size(name)), args.float("epsilon"))
}

/// The sizes in the order of the signature.
fn differences(config: &Json, sizes: [usize; 7], epsilon: f64) -> Vec<String> {
    let keys = [
        ("vocab_size", "vocabulary"),
        ("hidden_size", "width"),
        ("num_hidden_layers", "layers"),
        ("num_attention_heads", "heads"),
        ("intermediate_size", "hidden"),
        ("max_position_embeddings", "positions"),
        ("type_vocab_size", "segments"),
    ];
    let mut found = vec![];
    for ((key, name), size) in keys.into_iter().zip(sizes) {
        match config.get(key).and_then(Json::as_u64) {
            Some(there) if there != size as u64 => {
                found.push(format!("`{key}` is {there}, and the backbone has `{name}` {size}"));
            }
            _ => {}
        }
    }
    match config.get("layer_norm_eps").and_then(Json::as_f64) {
        Some(there) if there != epsilon => {
            found.push(format!("`layer_norm_eps` is {there:e}, and the backbone has `epsilon` {epsilon:e}"));
        }
        _ => {}
    }
    match config.get("hidden_act").and_then(Json::as_str) {
        Some(there) if there != "gelu" => {
            found.push(format!("`hidden_act` is {there:?}, and the backbone has the exact gelu"));
        }
        _ => {}
    }
    match config.get("model_type").and_then(Json::as_str) {
        Some(there) if there != "bert" => found.push(format!("`model_type` is {there:?}, and the backbone is a bert")),
        _ => {}
    }
    found
}
