//! The cut at the frozen boundary: it keeps what the graphs mean, stores what is cheapest, and says why it does not cut.

use super::{TOLERANCE, models, outputs, weights};
use crate::engine::{assert_near, batch, smooth, step};
use mtlc::base::Source;
use mtlc::data::{Array, Batch};
use mtlc::engine::{Weights, find};
use mtlc::graph::{Graph, Mode};
use mtlc::lower::lower;
use mtlc::model::{Model, Spec};
use mtlc::passes::frozen::{Cut, Terms, WORTH, cut, inputs};
use mtlc::plan::caching::caching;
use mtlc::plan::features::Caching;
use std::path::Path;

fn terms(demanded: bool) -> Terms<'static> {
    Terms { bytes: 4, demanded, worth: WORTH, random: &|_| false }
}

fn graphs(model: &Model) -> [Graph; 2] {
    [Mode::Train, Mode::Eval].map(|mode| lower(model, mode, 0).expect("the spec is right"))
}

/// The rows as a graph that was cut reads them: features in place of the inputs that only they needed.
fn with_features(cut: &Cut, graph: &Graph, weights: &Weights, rows: &Batch) -> Batch {
    let mut given = rows.clone();
    given.values.retain(|name, _| rows.present.contains_key(name) || inputs(graph).any(|input| input == name));
    for (stored, data) in cut.values.iter().zip(outputs(&cut.features, weights, rows)) {
        given.values.insert(stored.name.clone(), Array::F32 { dims: stored.ty.at(rows.size), data });
    }
    given
}

#[test]
fn every_spec_means_the_same_when_it_is_cut() {
    let mut met = vec![];
    for (name, model) in models() {
        let [train, eval] = graphs(&model).map(smooth);
        let Ok(cut) = cut(&train, &eval, &terms(true)) else { continue };
        let (weights, rows) = (weights(&train), batch(&model, 4, 1));
        let reference = find("dfdx").expect("the reference engine");
        let (values, gradients) = step(reference, &train, &weights, &rows, 1);
        let above = with_features(&cut, &cut.train, &weights, &rows);
        assert!(above.values.len() <= rows.values.len() + cut.values.len());
        let (own_values, own_gradients) = step(reference, &cut.train, &weights, &above, 1);
        for ((a, b), output) in own_values.iter().zip(&values).zip(&train.outputs) {
            assert_near(&format!("{name}: {} in training", output.name), a, b, TOLERANCE);
        }
        assert_eq!(own_gradients.len(), gradients.len(), "{name}: the same parameters are trained");
        for ((path, a), (_, b)) in own_gradients.iter().zip(&gradients) {
            assert_near(&format!("{name}: the gradient of {path}"), a, b, 2e-4);
        }
        met.push(name.clone());
        // An evaluation merges what adapters add beside frozen weights, and computes other values than training.
        let Some(rest) = cut.eval.as_ref() else {
            assert!(name.contains("lora") || name == "adapters", "an evaluation of {name} computes the same features");
            continue;
        };
        let above = with_features(&cut, rest, &weights, &rows);
        for ((a, b), output) in
            outputs(rest, &weights, &above).iter().zip(&outputs(&eval, &weights, &rows)).zip(&eval.outputs)
        {
            assert_near(&format!("{name}: {}", output.name), a, b, TOLERANCE);
        }
    }
    assert_eq!(
        met,
        [
            "adapters",
            "both",
            "digits_transfer",
            "fashion_transfer",
            "genre",
            "genre_lora",
            "gradual",
            "language",
            "library"
        ]
    );
}

fn model(text: &str) -> Model {
    let text = format!("model m\ninput image: f32[3, 16, 16]\ntarget kind: class[3]\ntarget other: class[3]\n{text}\n");
    let spec = Spec::of(Source::new("m.mtl", text), Path::new(""), &[]);
    spec.unwrap_or_else(|e| panic!("{}", e.diagnostics.render(e.source.as_ref(), false))).model
}

/// What is stored, or why nothing is.
fn told(text: &str, terms: &Terms) -> String {
    let [train, eval] = graphs(&model(text));
    match cut(&train, &eval, terms) {
        Ok(cut) => cut.values.iter().map(|v| format!("{} {}", v.path, v.ty.example())).collect::<Vec<_>>().join(", "),
        Err(why) => why,
    }
}

const LOSSES: &str = "minimize cross_entropy(a, kind) + cross_entropy(b, other)";

#[test]
fn what_is_stored_is_the_cheapest() {
    let trunk =
        "backbone trunk(image) { low: conv(64, 3) -> norm -> relu  high: conv(64, 3) -> norm -> relu }\nfreeze trunk";
    let cases = [
        // Behind the map stands a pool without parameters, in two heads: its result is stored, once.
        ("head a(trunk) = global_pool -> linear(3)\nhead b(trunk) = global_pool -> linear(3)", "a.0 f32[64]"),
        // Four times as large, and nothing to compute.
        (
            "head a(trunk) = upsample(2) -> conv(3, 1) -> global_pool -> linear(3)\nhead b(trunk) = flatten -> linear(3)",
            "trunk.high.2 f32[64, 16, 16]",
        ),
        // A tap below is read, too.
        (
            "head a(trunk.low) = max_pool(8) -> flatten -> linear(3)\nhead b(trunk) = global_pool -> linear(3)",
            "a.0 f32[64, 2, 2], b.0 f32[64]",
        ),
        // What is trained above one tap does not keep the other from being stored.
        (
            "head a(trunk.low) = conv(3, 3) -> global_pool\nhead b(trunk) = dropout(0.5) -> global_pool -> linear(3)",
            "trunk.low.2 f32[64, 16, 16], trunk.high.2 f32[64, 16, 16]",
        ),
    ];
    for (heads, stored) in cases {
        assert_eq!(told(&format!("{trunk}\n{heads}\n{LOSSES}"), &terms(true)), stored, "{heads}");
    }
}

#[test]
fn what_does_not_pay_is_stored_only_where_it_is_demanded() {
    let text = "backbone trunk(image) = conv(4, 1)\nfreeze trunk\n\
        head a(trunk) = conv(3, 3) -> global_pool\nhead b(trunk) = flatten -> linear(3)";
    let text = format!("{text}\n{LOSSES}");
    assert_eq!(told(&text, &terms(false)), "computing what is frozen again costs less than reading it");
    assert_eq!(told(&text, &terms(true)), "trunk f32[4, 16, 16]");
    // In half of the bytes more pays.
    let wide = text.replace("conv(4, 1)", "conv(16, 3)");
    assert_eq!(told(&wide, &terms(false)), "computing what is frozen again costs less than reading it");
    assert_eq!(told(&wide, &Terms { bytes: 1, ..terms(false) }), "trunk f32[16, 16, 16]");
}

#[test]
fn what_stands_in_the_way_is_named() {
    let heads = "head a(trunk) = global_pool -> linear(3)\nhead b(trunk) = global_pool -> linear(3)";
    let trunk = "backbone trunk(image) { low: conv(32, 3) -> norm -> relu -> dropout(0.1)  high: conv(32, 3) -> norm }";
    let cases = [
        ("", "no layer is frozen"),
        ("freeze trunk.high", "`trunk.low.0` is trained, below what is frozen"),
        ("freeze norm in trunk", "`trunk.low.0` is trained, below what is frozen"),
    ];
    for (freeze, why) in cases {
        assert_eq!(told(&format!("{trunk}\n{freeze}\n{heads}\n{LOSSES}"), &terms(true)), why, "{freeze}");
    }
    let behind = |layer: &str| {
        format!(
            "backbone first(image) = {layer}\nbackbone trunk(first) = conv(32, 3) -> relu\nfreeze trunk\n{heads}\n{LOSSES}"
        )
    };
    assert_eq!(told(&behind("dropout(0.1)"), &terms(true)), "the dropout `first` is on, below what is frozen");
    let random = Terms { random: &|input| input == "image", ..terms(true) };
    assert_eq!(told(&behind("max_pool(2)"), &random), "`image` is prepared at random, below what is frozen");
    assert_eq!(told(&behind("max_pool(2)"), &terms(true)), "a.0 f32[32]");
    // A norm that is not frozen ends the region where it stands, and not before.
    let part = "freeze trunk.low.0\nfreeze trunk.high.0";
    assert_eq!(told(&format!("{trunk}\n{part}\n{heads}\n{LOSSES}"), &terms(true)), "trunk.low.0 f32[32, 16, 16]");
}

/// Of two inputs one may differ from epoch to epoch.
#[test]
fn an_input_that_is_random_is_computed_anew() {
    let text = "input still: f32[3, 16, 16]\nbackbone moving(image) = conv(32, 3) -> relu -> global_pool\n\
        backbone held(still) = conv(32, 3) -> relu -> global_pool\nfreeze moving, held\n\
        head a(moving, held) = linear(3)\nhead b(held) = linear(3)";
    let text = format!("{text}\n{LOSSES}");
    assert_eq!(told(&text, &terms(true)), "moving.2 f32[32], held.2 f32[32]");
    assert_eq!(told(&text, &Terms { random: &|input| input == "image", ..terms(true) }), "held.2 f32[32]");
}

/// Where an evaluation computes something else below the boundary, it is left whole.
#[test]
fn an_evaluation_that_differs_is_not_cut() {
    let text = "backbone trunk(image) = conv(8, 3) -> relu -> global_pool\nfreeze trunk\n\
        head a(trunk) = linear(3)\nhead b(trunk) = linear(3)";
    let [train, eval] = graphs(&model(&format!("{text}\n{LOSSES}")));
    let other = smooth(eval.clone());
    assert!(cut(&train, &eval, &terms(true)).expect("a cut").eval.is_some());
    assert!(cut(&train, &other, &terms(true)).expect("a cut").eval.is_none());
}

/// Beside adapters nearly everything is computed anew, and what little could be saved is not worth a file unasked.
#[test]
fn what_saves_little_is_not_stored_unasked() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/genre_lora.mtl");
    let off = |overrides: &[String]| {
        let spec = Spec::read(&path, overrides).expect("the spec is right");
        match caching(&spec.model, 0).expect("nothing is wrong") {
            Caching::Off(why) => Some(why),
            Caching::On { .. } => None,
        }
    };
    let why = off(&[]).expect("it saves little");
    assert!(why.starts_with("it would save") && why.ends_with("of a training step"), "{why}");
    assert_eq!(off(&["train.cache=f32".into()]), None);
}
