//! A run that was interrupted and resumed ends with the bits of one that was not; and with any number of threads.

use super::{file, specs, train, train_with};
use serde_json::Value;
use std::path::Path;

/// Everything that carries state: batch norm, dropout, momentum, a schedule, a freeze that ends, learned task weights, tuned
/// rates, and labels that are missing.
const SPEC: &str = r#"
model state
input  cells: f32[20]
target malignant: class["benign", "malignant"]
target radius: f32[1]
backbone trunk(cells) = linear(16) -> norm -> relu -> dropout(0.3) -> linear(8) -> norm -> relu
head diagnosis(trunk) = linear(2)
head size(trunk) = dropout(0.1) -> linear(1)
freeze trunk.0 .. trunk.1 until epoch 2
tune trunk (lr: 0.5x)
minimize cross_entropy(diagnosis, malignant) + 0.5 * huber(size, radius)
balance uncertainty
measure auroc(diagnosis, malignant), r2(size, radius)
data wdbc = csv("data/wdbc.csv", split: [0.7, 0.3], seed: 3) {
  cells = columns(all, except: ["mean texture", "*radius*", "*perimeter*", "*area*"]) -> standardize
  malignant = column("diagnosis") -> forget(0.3, seed: 1)
  radius = column("mean radius") -> standardize
}
train { epochs: 5, batch: 32, optimizer: adamw(lr: 3e-3), schedule: cosine(warmup: 1), clip: 1.0, patience: 4 }
"#;

/// Three phases, each with another optimizer or schedule, over a trunk that other lines freeze and tune as well.
const PHASES: &str = r#"
model phases
input  cells: f32[20]
target malignant: class["benign", "malignant"]
backbone trunk(cells) = linear(16) -> norm -> relu -> dropout(0.3) -> linear(8) -> norm -> relu
  -> residual(linear(8) -> tanh)
head diagnosis(trunk) = linear(2)
freeze trunk.0 .. trunk.1 (norm: train) until epoch 3
freeze norm in trunk (norm: affine) until epoch 5
tune trunk (layer_decay: 0.7, l2sp: 0.1), trunk.4 .. trunk.5 (adapt: bitfit),
  trunk.0 (adapt: lora(2, dropout: 0.2)), trunk.7 (adapt: bottleneck(3))
minimize cross_entropy(diagnosis, malignant)
measure auroc(diagnosis, malignant)
data wdbc = csv("data/wdbc.csv", split: [0.7, 0.3], seed: 3) {
  cells = columns(all, except: ["mean texture", "*radius*", "*perimeter*", "*area*"]) -> standardize
  malignant = column("diagnosis")
}
train {
  phases: [
    probe(epochs: 2, optimizer: sgd(lr: 0.1, momentum: 0.9)),
    finetune(epochs: 3, lr: 1e-3, schedule: cosine(warmup: 1)),
    finetune(epochs: 2)
  ]
  optimizer: adamw(lr: 3e-4)
  ema: 0.9
}
"#;

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    std::fs::copy(specs().join("data/wdbc.csv"), folder.path().join("data/wdbc.csv")).expect("the data");
    std::fs::write(folder.path().join("state.mtl"), SPEC).expect("the spec");
    std::fs::write(folder.path().join("phases.mtl"), PHASES).expect("the spec");
    folder
}

/// The history without what a clock said.
fn history(folder: &Path, run: &Value) -> Vec<Value> {
    let text = String::from_utf8(file(folder, run, "metrics.jsonl")).expect("the history is text");
    text.lines()
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).expect("a record is JSON");
            record["seconds"].take();
            record
        })
        .collect()
}

#[test]
fn a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one() {
    let (whole, parts) = (project(), project());
    let spec = Path::new("state.mtl");
    let uninterrupted = train(whole.path(), spec, &[]);
    for stop in ["1", "2", "4"] {
        let resume = if stop == "1" { &[][..] } else { &["--resume"][..] };
        let stopped = train(parts.path(), spec, &[resume, &["--stop-after", stop]].concat());
        assert_eq!(stopped["finished"], false);
    }
    let resumed = train(parts.path(), spec, &["--resume"]);
    assert_eq!(resumed["run"], uninterrupted["run"], "the run goes on in its folder");
    for name in ["last.safetensors", "weights.safetensors"] {
        assert!(file(whole.path(), &uninterrupted, name) == file(parts.path(), &resumed, name), "{name} differs");
    }
    assert_eq!(history(whole.path(), &uninterrupted), history(parts.path(), &resumed));
    assert_eq!(uninterrupted["results"], resumed["results"]);
    let other = train(parts.path(), spec, &["--set", "train.seed=1"]);
    let differs =
        file(parts.path(), &other, "weights.safetensors") != file(parts.path(), &resumed, "weights.safetensors");
    assert!(differs, "another seed gives other weights, so equality says something");
}

/// Stopped in the middle of each phase and between them.
#[test]
fn a_run_resumed_in_any_phase_ends_with_the_same_bits() {
    let (whole, parts) = (project(), project());
    let spec = Path::new("phases.mtl");
    let uninterrupted = train(whole.path(), spec, &[]);
    assert_eq!(uninterrupted["epochs"], 7);
    for stop in 1..7 {
        let resume = if stop == 1 { &[][..] } else { &["--resume"][..] };
        train(parts.path(), spec, &[resume, &["--stop-after", &stop.to_string()]].concat());
    }
    let resumed = train(parts.path(), spec, &["--resume"]);
    for name in ["last.safetensors", "weights.safetensors"] {
        assert!(file(whole.path(), &uninterrupted, name) == file(parts.path(), &resumed, name), "{name} differs");
    }
    assert_eq!(history(whole.path(), &uninterrupted), history(parts.path(), &resumed));
    let rates: Vec<f64> =
        history(whole.path(), &uninterrupted).iter().map(|line| line["lr"].as_f64().expect("a rate")).collect();
    let expected = [0.1, 0.1, 1e-3, 5e-4, 0.0, 3e-4, 3e-4];
    for (epoch, (rate, expected)) in rates.iter().zip(expected).enumerate() {
        assert!((rate - expected).abs() < 1e-9, "epoch {epoch}: {rates:?}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let folder = project();
    let mut runs =
        [1, 2, 5].map(|threads| train_with(folder.path(), Path::new("state.mtl"), &[], Some(threads))).into_iter();
    let first = runs.next().expect("three runs");
    for run in runs {
        assert_ne!(run["run"], first["run"]);
        let same = file(folder.path(), &run, "last.safetensors") == file(folder.path(), &first, "last.safetensors");
        assert!(same, "the weights depend on the number of threads");
    }
}
