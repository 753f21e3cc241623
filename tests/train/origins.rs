//! Where parameters start: several networks may begin as one network of another run.

use super::{specs, train};
use mtlc::weights::TensorFile;
use std::path::Path;
use std::process::Command;

const DATA: &str = "data wdbc = csv(\"wdbc.csv\", split: [0.6, 0.2, 0.2]) {\n\
    cells = columns([\"mean smoothness\", \"mean symmetry\", \"mean concavity\"]) -> standardize\n\
    malignant = column(\"diagnosis\")\n}\ntrain { epochs: 1, optimizer: sgd(lr: 1e-30) }\n";

fn spec(name: &str, body: &str) -> String {
    format!("model {name}\ninput cells: f32[3]\ntarget malignant: class[\"benign\", \"malignant\"]\n{body}\n{DATA}")
}

#[test]
fn several_networks_begin_as_one_of_a_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(specs().join("data/wdbc.csv"), folder.path().join("wdbc.csv")).expect("the data");
    let run = |name: &str, body: &str| {
        std::fs::write(folder.path().join(format!("{name}.mtl")), spec(name, body)).expect("the spec");
        let run = train(folder.path(), Path::new(&format!("{name}.mtl")), &[]);
        let file = folder.path().join(run["run"].as_str().expect("a folder")).join("weights.safetensors");
        TensorFile::read(&file).expect("the weights")
    };
    let first = run(
        "first",
        "backbone trunk(cells) = linear(4) -> norm -> relu\nbackbone trunks(cells) = linear(4)\n\
         head label(trunk, trunks) = linear(2)\nminimize cross_entropy(label, malignant)",
    );
    // With next to no rate they end where they began. A network whose name begins alike is another one.
    let second = run(
        "second",
        "backbone a(cells, weights: run(first, network: trunk)) = linear(4) -> norm -> relu\n\
         backbone b(cells, weights: run(first, network: \"trunk\")) = linear(4) -> norm -> relu\n\
         head label(a, b) = linear(2)\nminimize cross_entropy(label, malignant)",
    );
    let weight = &first.tensors["trunk.0.weight"];
    assert_eq!((weight, weight), (&second.tensors["a.0.weight"], &second.tensors["b.0.weight"]));

    let body = "backbone a(cells, weights: run(first, network: trunc)) = linear(4) -> norm -> relu\n\
                head label(a) = linear(2)\nminimize cross_entropy(label, malignant)";
    std::fs::write(folder.path().join("third.mtl"), spec("third", body)).expect("the spec");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtlc"));
    let output = command.current_dir(folder.path()).args(["run", "third.mtl"]).output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("no network `trunc`") && told.contains("`trunk`"), "{told}");
}
