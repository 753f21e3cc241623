//! Transfer learning on the embedded digits: what is frozen is proven to stay.

use super::{file, metric, specs, train};
use mtlc::weights::TensorFile;
use serde_json::Value;
use std::path::Path;

fn tensors(folder: &Path, run: &Value) -> TensorFile {
    let path = folder.join(run["run"].as_str().expect("a folder")).join("last.safetensors");
    TensorFile::read(&path).expect("the checkpoint is whole")
}

/// Names of trunk tensors, parameters and statistics, that differ between two checkpoints.
fn moved(a: &TensorFile, b: &TensorFile) -> Vec<String> {
    let mut names: Vec<String> =
        a.tensors.keys().filter(|n| n.starts_with("trunk.") && a.tensors[*n] != b.tensors[*n]).cloned().collect();
    names.sort();
    names
}

#[test]
fn a_trained_trunk_is_frozen_under_new_heads() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let digits = train(folder.path(), &specs().join("digits.mtl"), &["--set", "train.epochs=12"]);
    let accuracy = metric(&digits, "test", "accuracy(label)");
    assert!(accuracy >= 0.97, "the conv net reaches {accuracy}");
    let weights = folder.path().join(digits["run"].as_str().expect("a folder")).join("weights.safetensors");
    let trunk = TensorFile::read(&weights).expect("the weights are whole");

    let transfer = train(folder.path(), &specs().join("digits_transfer.mtl"), &[]);
    let after = tensors(folder.path(), &transfer);
    assert!(trunk.tensors.keys().any(|n| n.ends_with("running_var")), "the trunk has statistics that could drift");
    assert_eq!(moved(&trunk, &after), Vec::<String>::new());
    assert_eq!(transfer["frozen"]["tensors"], trunk.tensors.keys().filter(|n| n.starts_with("trunk.")).count());
    assert_eq!(transfer["frozen"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(transfer["results"]["train"]["rows"], 100, "the heads learn from 100 rows");
    for (name, least) in [("accuracy(even)", 0.93), ("accuracy(large)", 0.9)] {
        let reached = metric(&transfer, "test", name);
        assert!(reached >= least, "{name} is {reached}, from 100 rows");
    }
    assert!(String::from_utf8_lossy(&file(folder.path(), &transfer, "report.html")).contains("Frozen throughout"));

    // The same recipe without the freeze moves weights and statistics, so the comparison above can fail.
    let text = std::fs::read_to_string(specs().join("digits_transfer.mtl")).expect("the spec");
    let thawed: String = text.lines().filter(|l| !l.starts_with("freeze")).map(|l| l.to_string() + "\n").collect();
    assert_ne!(text, thawed);
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    std::fs::copy(specs().join("data/digits.csv.gz"), folder.path().join("data/digits.csv.gz")).expect("the data");
    std::fs::write(folder.path().join("thawed.mtl"), thawed).expect("the spec");
    let thawed = train(folder.path(), Path::new("thawed.mtl"), &["--set", "train.epochs=1"]);
    let moved = moved(&trunk, &tensors(folder.path(), &thawed));
    assert!(
        moved.iter().any(|n| n.ends_with("weight")) && moved.iter().any(|n| n.ends_with("running_mean")),
        "{moved:?}"
    );
    assert_eq!(thawed["frozen"], Value::Null);
}
