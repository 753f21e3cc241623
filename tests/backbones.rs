//! Library backbones against the reference implementations: the same names and shapes of tensors, and the same features.
//!
//! `goldens/make_backbones.py` made the numbers, from weights that follow from their names by a formula. `published` has what
//! needs real weights.

mod published;
mod texts;

use mtlc::base::Source;
use mtlc::data::{Array, Batch};
use mtlc::engine::{ENGINES, Engine, Weights};
use mtlc::graph::Graph;
use mtlc::model::Spec;
use mtlc::plan::Graphs;
use mtlc::train::first_weights;
use safetensors::SafeTensors;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How far features may be from the reference's, as a share of the largest.
const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Case {
    /// The backbone as a spec names it.
    backbone: String,
    scheme: String,
    manifest: String,
    features: Vec<String>,
    /// The shape of the images, or the tokens, that the reference read.
    image: Option<Vec<usize>>,
    tokens: Option<Vec<Vec<i64>>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/backbones")
}

fn cases() -> Vec<Case> {
    serde_json::from_str(&read("cases.json")).expect("the cases are well-formed")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).expect("a golden that can be read")
}

/// The numbers of a golden file by name.
fn golden(name: &str) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(folder().join(name)).expect("a golden that can be read");
    let file = SafeTensors::deserialize(&bytes).expect("the goldens are whole");
    let floats = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    file.tensors().into_iter().map(|(name, t)| (name, (t.shape().to_vec(), floats(t.data())))).collect()
}

/// Numbers from 0 to 1 that follow from a name, as `uniform` in `make_backbones.py` has them.
fn uniform(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let seed = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..count as u32).map(move |i| {
        let x = i.wrapping_mul(0x9e37_79b9).wrapping_add(seed);
        let x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
        let x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
        f64::from(x ^ (x >> 16)) / 4_294_967_296.0
    })
}

/// The tensor of that name, as `numbers` in `make_backbones.py` has it.
fn numbers(name: &str, dims: &[usize]) -> Vec<f32> {
    let u = uniform(name, dims.iter().product());
    if name.ends_with("running_var") || (name.ends_with("weight") && dims.len() == 1) {
        u.map(|u| (0.5 + u) as f32).collect()
    } else if name.ends_with("running_mean") || name.ends_with("bias") {
        u.map(|u| (0.2 * (2.0 * u - 1.0)) as f32).collect()
    } else {
        let scale = (6.0 / dims[1..].iter().product::<usize>() as f64).sqrt();
        u.map(|u| ((2.0 * u - 1.0) * scale) as f32).collect()
    }
}

/// Names and sizes of a manifest.
fn manifest(name: &str) -> Vec<(String, Vec<usize>)> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next().expect("a name").to_string();
        (name, words.map(|size| size.parse().expect("a size")).collect())
    };
    read(name).lines().map(line).collect()
}

/// A file of weights as a reference would have published it.
fn publish(to: &Path, manifest: &[(String, Vec<usize>)]) {
    let bytes: Vec<(&str, &Vec<usize>, Vec<u8>)> = manifest
        .iter()
        .map(|(name, dims)| (name.as_str(), dims, numbers(name, dims).into_iter().flat_map(f32::to_le_bytes).collect()))
        .collect();
    let views = bytes.iter().map(|(name, dims, data)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, (*dims).clone(), data);
        (*name, view.expect("the numbers fill their shape"))
    });
    safetensors::serialize_to_file(views, None, to).expect("a file that can be written");
}

/// A spec whose head gives the features of a backbone as they are.
fn spec(backbone: &str, input: &str, numbers: usize, weights: Option<&str>, root: &Path) -> Spec {
    let weights = weights.map(|file| format!(", weights: {file:?}")).unwrap_or_default();
    let text = format!(
        "model features\ninput x: {input}\ntarget y: f32[{numbers}]\nbackbone trunk(x{weights}) = {backbone}\n\
         head features(trunk) = flatten\nminimize mse(features, y)\n"
    );
    let source = Source::new("features.mtl", text);
    Spec::of(source.clone(), root, &[])
        .unwrap_or_else(|wrong| panic!("{}", wrong.diagnostics.render(Some(&source), false)))
}

/// The same backbone with one more argument.
fn with(backbone: &str, argument: &str) -> String {
    match backbone.strip_suffix(')') {
        Some(call) => format!("{call}, {argument})"),
        None => format!("{backbone}({argument})"),
    }
}

/// What the first head of a serving graph answers.
fn answer(engine: &dyn Engine, graph: &Graph, weights: &Weights, x: Array) -> Vec<f32> {
    let batch =
        Batch { size: x.dims()[0], values: [("x".to_string(), x)].into_iter().collect(), present: Default::default() };
    let mut session = engine.session(graph);
    session.forward(weights, &batch, &[graph.outputs[0].value]);
    session.result(0).to_vec()
}

/// The largest difference, as a share of the largest number.
fn apart(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let scale = theirs.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let far = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(ours.iter().all(|x| x.is_finite()));
    far / scale
}

impl Case {
    fn input(&self) -> (String, Array) {
        match (&self.image, &self.tokens) {
            (Some(dims), _) => {
                let data = uniform("input", dims.iter().product()).map(|u| (2.0 * u - 1.0) as f32).collect();
                (format!("f32[3, {}, {}]", dims[2], dims[3]), Array::F32 { dims: dims.clone(), data })
            }
            (None, Some(rows)) => {
                let dims = vec![rows.len(), rows[0].len()];
                (format!("tokens[{}]", dims[1]), Array::I64 { dims, data: rows.concat() })
            }
            (None, None) => panic!("{} reads nothing", self.backbone),
        }
    }

    /// Features with weights of the reference's names, and how far they are from the reference's.
    fn distance(&self, engine: &dyn Engine, features: &str, change: Option<&str>) -> f32 {
        let goldens = golden("features.safetensors");
        let key = format!("{}/{features}", self.manifest.trim_end_matches(".txt"));
        let (dims, want) = &goldens[&key];
        let folder = tempfile::tempdir().expect("a temporary folder");
        publish(&folder.path().join("weights.safetensors"), &manifest(&self.manifest));
        let (ty, x) = self.input();
        let backbone = with(&self.backbone, &format!("features: {features}"));
        let backbone = change.map_or(backbone.clone(), |change| with(&backbone, change));
        let spec = spec(&backbone, &ty, dims[1..].iter().product(), Some("weights.safetensors"), folder.path());
        let graphs = Graphs::of(&spec.model).expect("the spec is right");
        let weights = first_weights(&spec.model, &graphs.eval, 0, folder.path(), folder.path());
        let (weights, reports) =
            weights.unwrap_or_else(|wrong| panic!("{}: {}", self.manifest, wrong.render(None, false)));
        assert!(reports[0].notes.contains(&format!("names of {}", self.scheme)), "{:?}", reports[0].notes);
        let mut ours = answer(engine, &graphs.serve, &weights, x);
        if let (Some(rows), 3) = (&self.tokens, dims.len()) {
            // What stands at padding is nobody's business, and 0 in the goldens.
            let present = rows.concat().into_iter().map(|id| if id == 0 { 0.0 } else { 1.0 });
            ours.chunks_exact_mut(dims[2]).zip(present).for_each(|(y, m)| y.iter_mut().for_each(|y| *y *= m));
        }
        apart(&ours, want)
    }
}

#[test]
fn every_backbone_has_a_case() {
    let known: BTreeSet<&str> = mtlc::parts::backbones::all().map(|(b, _)| b.signature.name).collect();
    let mut covered: BTreeSet<String> =
        cases().iter().map(|c| c.backbone.split('(').next().expect("a name").to_string()).collect();
    // Its proof are the published weights themselves.
    covered.insert("minilm_l6".into());
    assert_eq!(covered, known.into_iter().map(String::from).collect());
}

#[test]
fn features_are_those_of_the_reference_implementations() {
    let mut checked = 0;
    for case in cases() {
        for features in &case.features {
            let far = case.distance(ENGINES[0], features, None);
            assert!(far <= TOLERANCE, "{} with weights of {}, {features}: {far}", case.backbone, case.scheme);
            checked += 1;
        }
    }
    assert_eq!(checked, 19);
}

/// The reference engine is slow where images are large; the two engines are held against each other elsewhere.
#[test]
fn the_reference_engine_gives_the_same_features() {
    let engine = ENGINES.last().expect("there is a reference engine");
    for case in cases()
        .iter()
        .filter(|c| ["mobilenet_v3_small-torchvision.txt", "bert-transformers.txt"].contains(&c.manifest.as_str()))
    {
        for features in &case.features {
            let far = case.distance(*engine, features, None);
            assert!(far <= TOLERANCE, "{}, {features}: {far}", case.backbone);
        }
    }
}

/// The goldens tell a wrong epsilon, padding or activation: otherwise they would prove nothing.
#[test]
fn a_wrong_argument_is_seen() {
    let all = cases();
    let case = |manifest: &str| all.iter().find(|c| c.manifest == manifest).expect("a case");
    for (manifest, features, change) in [
        ("efficientnet_lite0-timm.txt", "pooled", "epsilon: 1e-5"),
        ("efficientnet_lite0-timm.txt", "pooled", "padding: same"),
        ("mobilenet_v3_small-torchvision.txt", "pooled", "epsilon: 1e-5"),
        ("mobilenet_v3_small-torchvision.txt", "pooled", "padding: tensorflow"),
        ("bert-transformers.txt", "tokens", "epsilon: 1e-3"),
    ] {
        let far = case(manifest).distance(ENGINES[0], features, Some(change));
        assert!(far > 2.0 * TOLERANCE, "{manifest} with {change}: {far}");
    }
}

/// Names that no case computes with: every tensor of the file is known, and every parameter of the network finds one.
#[test]
fn the_ports_names_of_efficientnet_are_all_known() {
    let all = cases();
    let case = all.iter().find(|c| c.scheme == "efficientnet-pytorch").expect("a case");
    let folder = tempfile::tempdir().expect("a temporary folder");
    publish(&folder.path().join("weights.safetensors"), &manifest(&case.manifest));
    let spec = spec(&case.backbone, "f32[3, 32, 32]", 1280, Some("weights.safetensors"), folder.path());
    let graph = Graphs::of(&spec.model).expect("the spec is right").eval;
    let weights = first_weights(&spec.model, &graph, 0, folder.path(), folder.path());
    let (_, reports) = weights.unwrap_or_else(|wrong| panic!("{}: {}", case.manifest, wrong.render(None, false)));
    assert!(reports[0].notes.contains(&format!("names of {}", case.scheme)), "{:?}", reports[0].notes);
    let mut unused = reports[0].unused.clone();
    unused.sort();
    assert_eq!(unused, ["_fc.bias", "_fc.weight"]);
}

/// BERT base is too large to write in a test: its sizes are those of transformers, and its names those of the small one above.
#[test]
fn bert_base_has_the_sizes_of_transformers() {
    let spec = spec("bert_base(features: pooler)", "tokens[8]", 768, None, Path::new("."));
    let graph = Graphs::of(&spec.model).expect("the spec is right").eval;
    let mut ours: Vec<Vec<usize>> = graph.parameters.values().map(|p| p.dims.clone()).collect();
    let mut theirs: Vec<Vec<usize>> =
        manifest("bert_base-transformers.txt").into_iter().map(|(_, dims)| dims).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

/// A file of mtlc's own, with paths for names, is no library's, and neither is a library asked where the spec renames itself.
#[test]
fn own_names_stay_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let spec = spec("resnet18", "f32[3, 32, 32]", 512, Some("own.safetensors"), folder.path());
    let graph = Graphs::of(&spec.model).expect("the spec is right").eval;
    for name in ["trunk.", ""] {
        let named = |path: &str| format!("{name}{}", path.strip_prefix("trunk.").expect("the trunk's"));
        let manifest: Vec<(String, Vec<usize>)> =
            graph.parameters.iter().map(|(path, p)| (named(path), p.dims.clone())).collect();
        publish(&folder.path().join("own.safetensors"), &manifest);
        let loaded = first_weights(&spec.model, &graph, 0, folder.path(), folder.path());
        let (weights, reports) = loaded.unwrap_or_else(|wrong| panic!("{}", wrong.render(None, false)));
        assert!(!reports[0].notes.iter().any(|note| note.starts_with("names of")), "{:?}", reports[0].notes);
        let path = "trunk.layer2.0.body.conv1.weight";
        let array = weights.get(path);
        assert_eq!(array.data, numbers(&named(path), &array.dims));
    }
}

/// The classes of a published file go to a head of one linear layer, wherever in the head it stands.
#[test]
fn a_head_may_take_the_published_classes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    publish(&folder.path().join("v2.safetensors"), &manifest("mobilenet_v2-torchvision.txt"));
    let text = "model classes\ninput x: f32[3, 32, 32]\ntarget y: class[1000]\n\
                backbone trunk(x, weights: \"v2.safetensors\") = mobilenet_v2\n\
                head out(trunk, weights: \"v2.safetensors\") = dropout(0.2) -> linear(1000)\nminimize cross_entropy(out, y)\n";
    let spec = Spec::of(Source::new("classes.mtl", text), folder.path(), &[]).expect("the spec is right");
    let graph = Graphs::of(&spec.model).expect("the spec is right").eval;
    let loaded = first_weights(&spec.model, &graph, 0, folder.path(), folder.path());
    let (weights, _) = loaded.unwrap_or_else(|wrong| panic!("{}", wrong.render(None, false)));
    assert_eq!(weights.get("out.1.weight").data, numbers("classifier.1.weight", &[1000, 1280]));
    assert_eq!(weights.get("out.1.bias").data, numbers("classifier.1.bias", &[1000]));
}

/// A file that says how its weights were made is believed over the spec.
#[test]
fn a_config_beside_the_weights_is_held_against_the_backbone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    publish(&folder.path().join("model.safetensors"), &manifest("bert-transformers.txt"));
    let backbone = "bert(50, 24, 3, 3, 40, positions: 16, segments: 3, features: mean)";
    let spec = spec(backbone, "tokens[7]", 24, Some("model.safetensors"), folder.path());
    let graph = Graphs::of(&spec.model).expect("the spec is right").eval;
    let told = |config: &str| {
        std::fs::write(folder.path().join("config.json"), config).expect("a file that can be written");
        match first_weights(&spec.model, &graph, 0, folder.path(), folder.path()) {
            Ok(_) => vec![],
            Err(wrong) => wrong.0.into_iter().flat_map(|d| [vec![d.message], d.notes].concat()).collect(),
        }
    };
    let right = r#"{"model_type": "bert", "hidden_size": 24, "num_attention_heads": 3, "hidden_act": "gelu", "layer_norm_eps": 1e-12}"#;
    assert_eq!(told(right), Vec::<String>::new());
    let wrong = r#"{"num_attention_heads": 6, "hidden_act": "gelu_new", "layer_norm_eps": 1e-05}"#;
    assert_eq!(
        told(wrong),
        [
            "the weights were not made for this `bert`",
            "`num_attention_heads` is 6, and the backbone has `heads` 3",
            "`layer_norm_eps` is 1e-5, and the backbone has `epsilon` 1e-12",
            "`hidden_act` is \"gelu_new\", and the backbone has the exact gelu",
        ]
    );
    assert_eq!(told("{"), ["the file beside the weights is no JSON"]);
}
