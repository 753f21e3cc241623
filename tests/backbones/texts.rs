//! The texts of library backbones: their layout, and that each is whole with every word of its arguments.

use super::spec;
use mtlc::base::signature::Kind;
use mtlc::graph::Role;
use mtlc::parts::backbones::{Expects, FAMILIES, all};
use mtlc::plan::Graphs;
use mtlc::syntax::format::format;
use std::path::Path;

#[test]
fn texts_are_in_the_canonical_layout() {
    for family in FAMILIES {
        let (source, file) = family.text.parsed();
        let path = Path::new("src/parts/backbones").join(family.text.name);
        let formatted = format(source, file);
        if std::env::var_os("MTLC_BLESS").is_some() {
            std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path), &formatted).expect("a file to write");
        }
        assert_eq!(source.text, formatted, "{}: `MTLC_BLESS=1 cargo test texts` lays it out", path.display());
    }
}

/// A call with what `bert` cannot do without.
fn call(name: &str, features: &str) -> String {
    let sizes = if name == "bert" { "30, 8, 2, 2, 16, " } else { "" };
    format!("{name}({sizes}features: {features})")
}

#[test]
fn every_backbone_gives_every_kind_of_features() {
    for (backbone, _) in all() {
        let signature = backbone.signature;
        let features = signature.params.iter().find(|p| p.name == "features").expect("all have it");
        let Kind::Word(words) = features.kind else { panic!("`features` of {} is a word", signature.name) };
        assert_eq!(words.to_vec(), backbone.endings.iter().map(|(word, _)| *word).collect::<Vec<_>>());
        let (input, large) = match backbone.expects {
            Expects::Image { .. } if signature.name.starts_with("vit") => ("f32[3, 224, 224]", 197 * 384),
            Expects::Image { .. } => ("f32[3, 64, 64]", 8192),
            Expects::Tokens => ("tokens[7]", 7 * 768),
        };
        for word in words {
            let spec = spec(&call(signature.name, word), input, large, None, Path::new("."));
            // The target has not the features' size, which is all that may be wrong.
            let wrong = match Graphs::of(&spec.model) {
                Ok(_) => String::new(),
                Err(wrong) => wrong.render(None, false),
            };
            assert!(
                wrong.is_empty() || wrong.matches("error").count() == 1 && wrong.contains("the head `features` gives"),
                "{wrong}"
            );
        }
    }
}

/// What the summaries say about the number of parameters is counted.
#[test]
fn summaries_count_right() {
    for (backbone, _) in all().filter(|(b, _)| b.signature.name != "bert") {
        let (name, summary) = (backbone.signature.name, backbone.signature.summary);
        let input = match backbone.expects {
            Expects::Image { size, .. } => format!("f32[3, {size}, {size}]"),
            Expects::Tokens => "tokens[1]".into(),
        };
        let width = summary.rsplit_once(']').expect("a shape").0.rsplit([' ', '[']).next().expect("a size");
        let spec = spec(name, &input, width.parse().expect("a number"), None, Path::new("."));
        let graph = Graphs::of(&spec.model).unwrap_or_else(|w| panic!("{name}: {}", w.render(None, false))).train;
        let trained = graph.parameters.values().filter(|p| p.role == Role::Trained);
        let millions = trained.map(|p| p.elements()).sum::<usize>() as f64 / 1e6;
        assert!(summary.contains(&format!(", {millions:.1} million parameters")), "{name} has {millions:.2} million");
    }
}
