//! What a `freeze` does to the norms among the layers that it names, and patterns of paths.

use mtlc::base::Source;
use mtlc::graph::{Graph, Mode, Role};
use mtlc::lower::lower;
use mtlc::model::Spec;
use mtlc::weights::TensorFile;
use std::path::Path;

use super::{specs, train};

const SPEC: &str = r#"
model norms
input  cells: f32[20]
target malignant: class["benign", "malignant"]
backbone trunk(cells) = linear(8) -> norm -> relu -> dropout(0.2) -> linear(8) -> norm -> relu
head diagnosis(trunk) = linear(2)
FREEZE
minimize cross_entropy(diagnosis, malignant)
measure auroc(diagnosis, malignant)
data wdbc = csv("data/wdbc.csv", split: [0.7, 0.3], seed: 3) {
  cells = columns(all, except: ["mean texture", "*radius*", "*perimeter*", "*area*"]) -> standardize
  malignant = column("diagnosis")
}
train { epochs: 2 }
"#;

/// The training graph of the spec with another freeze.
fn graph(freeze: &str) -> Graph {
    let source = Source::new("norms.mtl", SPEC.replace("FREEZE", freeze));
    let spec = Spec::of(source, &specs(), &[]);
    let spec = spec.unwrap_or_else(|f| panic!("{}", f.diagnostics.render(f.source.as_ref(), false)));
    lower(&spec.model, Mode::Train, 0).unwrap_or_else(|wrong| panic!("{}", wrong.render(None, false)))
}

fn paths(graph: &Graph, role: Role) -> Vec<&str> {
    graph.parameters.iter().filter(|(_, p)| p.role == role).map(|(path, _)| path.as_str()).collect()
}

/// Where the masks of dropout stand.
fn masks(graph: &Graph) -> usize {
    let masks = graph
        .values
        .iter()
        .filter(|v| matches!(&v.definition, mtlc::graph::Definition::Leaf(mtlc::graph::Leaf::Mask { .. })));
    masks.count()
}

#[test]
fn parameters_statistics_and_dropout_are_decided_together() {
    const ALL: [&str; 4] = ["trunk.0.weight", "trunk.4.weight", "diagnosis.weight", "diagnosis.bias"];
    let frozen = graph("freeze trunk");
    assert_eq!(paths(&frozen, Role::Trained), ALL[2..]);
    assert_eq!(paths(&frozen, Role::FrozenStatistic).len(), 4);
    assert_eq!((frozen.updates.len(), masks(&frozen)), (0, 0));

    let affine = graph("freeze trunk (norm: affine)");
    let shifts = ["trunk.1.weight", "trunk.1.bias", "trunk.5.weight", "trunk.5.bias"];
    assert_eq!(paths(&affine, Role::Trained), [&shifts[..], &ALL[2..]].concat());
    assert_eq!(paths(&affine, Role::FrozenStatistic).len(), 4);
    assert_eq!((affine.updates.len(), masks(&affine)), (0, 0));

    let train = graph("freeze trunk (norm: train)");
    assert_eq!(paths(&train, Role::Trained), [&shifts[..], &ALL[2..]].concat());
    assert_eq!(paths(&train, Role::Statistic).len(), 4);
    assert_eq!((train.updates.len(), masks(&train)), (4, 0));

    // Of several lines the one that holds most decides.
    let both = graph("freeze trunk (norm: train)\nfreeze trunk.5 (norm: affine)\nfreeze trunk.1");
    assert_eq!(paths(&both, Role::Frozen), [ALL[0], shifts[0], shifts[1], ALL[1]]);
    assert_eq!(both.updates.len(), 0);
}

#[test]
fn patterns_meet_the_paths_that_they_describe() {
    let frozen = |freeze: &str| {
        let graph = graph(freeze);
        paths(&graph, Role::Frozen).iter().map(|path| path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(frozen("freeze \"trunk.*\""), frozen("freeze trunk"));
    assert_eq!(frozen("freeze \"trunk.**\""), frozen("freeze trunk"));
    assert_eq!(frozen("freeze \"tr*k\""), frozen("freeze trunk"));
    assert_eq!(frozen("freeze \"**.4\""), ["trunk.4.weight"]);
    assert_eq!(frozen("freeze \"*n*.*0\""), ["trunk.0.weight"]);
    assert_eq!(frozen("freeze norm in \"t*.**\"").len(), 4);
    assert_eq!(frozen("freeze \"diag*\", trunk.0"), ["trunk.0.weight", "diagnosis.weight", "diagnosis.bias"]);
}

#[test]
fn norms_that_train_have_another_hash_and_frozen_ones_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    std::fs::copy(specs().join("data/wdbc.csv"), folder.path().join("data/wdbc.csv")).expect("the data");
    let ends = |freeze: &str| {
        std::fs::write(folder.path().join("norms.mtl"), SPEC.replace("FREEZE", freeze)).expect("the spec");
        let run = train(folder.path(), Path::new("norms.mtl"), &[]);
        let path = folder.path().join(run["run"].as_str().expect("a folder")).join("last.safetensors");
        let mut file = TensorFile::read(&path).expect("the checkpoint is whole");
        file.tensors.retain(|name, _| !name.starts_with("optimizer/"));
        (file, run["frozen"].clone())
    };
    let (held, proof) = ends("freeze trunk");
    let (again, same) = ends("freeze \"trunk.**\"");
    assert_eq!(proof, same, "the proof counts what is frozen, however it is said");
    let (trained, partly) = ends("freeze trunk (norm: train)");
    let (affine, scales) = ends("freeze trunk (norm: affine)");
    assert_eq!([&proof, &partly, &scales].map(|p| p["tensors"].as_u64()), [Some(10), Some(2), Some(6)]);
    for (name, array) in held.tensors.iter().filter(|(name, _)| name.starts_with("trunk.")) {
        let norm = name.starts_with("trunk.1.") || name.starts_with("trunk.5.");
        assert_eq!(array, &again.tensors[name], "{name}");
        assert_eq!(*array == trained.tensors[name], !norm, "{name} with norms that train");
        assert_eq!(*array == affine.tensors[name], !norm || name.contains("running"), "{name} with affine norms");
    }
}
