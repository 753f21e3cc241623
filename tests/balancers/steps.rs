//! Training steps with every balancer: on every engine, with labels missing, resumed, and with another number of threads.

use crate::train::{file, train, train_with};
use mtlc::base::Source;
use mtlc::data::Batch;
use mtlc::engine::{ENGINES, Engine, Noise, Weights};
use mtlc::graph::Role;
use mtlc::model::Spec;
use mtlc::parts::balancers::{BALANCERS, Sees};
use mtlc::plan::Graphs;
use mtlc::train::{State, Step};
use std::path::Path;

const SPEC: &str = r#"
model balanced
input  cells: f32[6]
target kind:  class["a", "b", "c"]
target size:  f32[1]
target depth: f32[2]
backbone trunk(cells) = linear(12) -> tanh -> linear(8) -> tanh
head label(trunk) = linear(3)
head length(trunk) = linear(4) -> tanh -> linear(1)
head below(trunk) = linear(2)
minimize cross_entropy(label, kind) + 0.5 * huber(length, size) + 2 * mse(below, depth)
train { batch: 8, optimizer: sgd(lr: 0.05) }
"#;

/// Every balancer as a spec writes it.
fn all() -> impl Iterator<Item = String> {
    BALANCERS.iter().map(|b| match b.signature().name {
        "smooth" => "smooth(of: cagrad)".to_string(),
        name => name.into(),
    })
}

fn spec(balance: &str, train: &str) -> Spec {
    let text = SPEC.replace("train {", &format!("balance {balance}\ntrain {{")).replace("sgd(lr: 0.05)", train);
    Spec::of(Source::new("m.mtl", text), Path::new("."), &[])
        .unwrap_or_else(|e| panic!("{balance}: {}", e.diagnostics.render(e.source.as_ref(), false)))
}

/// The state after a step on each batch, and what each task weighed in the last.
fn steps(engine: &dyn Engine, spec: &Spec, batches: &[Batch]) -> (State, Vec<Option<f64>>) {
    let graphs = Graphs::of(&spec.model).expect("the spec is right");
    let mut state = State::new(Weights::initial(&graphs.train, 3));
    let mut step = Step::new(&spec.model, engine, &graphs.train);
    for batch in batches {
        step.take(&mut state, batch, 1.0).unwrap_or_else(|e| panic!("{}", e.render(None, false)));
    }
    (state, step.weighed().to_vec())
}

fn batches(spec: &Spec, count: u64) -> Vec<Batch> {
    (0..count).map(|seed| crate::engine::batch(&spec.model, 8, seed)).collect()
}

#[test]
fn engines_agree_on_the_steps_of_every_balancer() {
    for balance in all() {
        let spec = spec(&balance, "sgd(lr: 0.05)");
        let (ours, weighed) = steps(ENGINES[0], &spec, &batches(&spec, 4));
        let (theirs, also) = steps(ENGINES[1], &spec, &batches(&spec, 4));
        for ((path, a), (_, b)) in ours.weights.iter().zip(theirs.weights.iter()) {
            crate::engine::assert_near(&format!("{balance}: {path}"), &a.data, &b.data, 2e-3);
        }
        for (a, b) in weighed.iter().zip(&also) {
            let (a, b) = (a.expect("it is present"), b.expect("it is present"));
            assert!((a - b).abs() <= 2e-3 * b.abs().max(1e-2), "{balance}: {weighed:?} and {also:?}");
        }
    }
}

#[test]
fn heads_keep_the_gradient_of_their_own_task() {
    let plain = spec("uniform", "sgd(lr: 0.05)");
    let (uniform, _) = steps(ENGINES[0], &plain, &batches(&plain, 1));
    let first = Weights::initial(&Graphs::of(&plain.model).expect("right").train, 3);
    for balancer in BALANCERS {
        let name = balancer.signature().name;
        // `db_mtl` descends logarithms, and `sdmgrad` has means over halves; engines agree on them above.
        if ["db_mtl", "sdmgrad", "smooth"].contains(&name) || balancer.sees(&Default::default()) == Sees::Losses {
            continue;
        }
        let own = spec(name, "sgd(lr: 0.05)");
        let (state, _) = steps(ENGINES[0], &own, &batches(&own, 1));
        for (path, array) in state.weights.iter() {
            let (a, b) = (&array.data, &uniform.weights.get(path).data);
            if path.starts_with("trunk") {
                assert_ne!(a, &first.get(path).data, "{name}: {path} does not learn");
            } else {
                crate::engine::assert_near(&format!("{name}: {path}"), a, b, 1e-6);
            }
        }
    }
}

/// A task without labels in the batch is not what the step is about: the others move as if it were not there.
#[test]
fn a_task_without_labels_takes_no_part() {
    for balance in all() {
        let spec = spec(&balance, "sgd(lr: 0.05)");
        let mut batch = batches(&spec, 1).remove(0);
        batch.present.insert("size".into(), vec![0.0; 8]);
        let (state, weighed) = steps(ENGINES[0], &spec, std::slice::from_ref(&batch));
        assert!(weighed[0].is_some() && weighed[2].is_some(), "{balance}: {weighed:?}");
        assert!(weighed[1].is_none(), "{balance}: {weighed:?}");
        let first = Weights::initial(&Graphs::of(&spec.model).expect("right").train, 3);
        assert_ne!(state.weights.get("trunk.0.weight").data, first.get("trunk.0.weight").data, "{balance}");
        for path in ["length.0.weight", "length.2.bias"] {
            assert_eq!(state.weights.get(path).data, first.get(path).data, "{balance}: {path}");
        }
        // Without any label at all nothing moves, and nothing breaks.
        batch.present.values_mut().for_each(|present| present.fill(0.0));
        let (state, weighed) = steps(ENGINES[0], &spec, &[batch]);
        assert_eq!(weighed, [None; 3], "{balance}");
        assert_eq!(state.weights.get("trunk.0.weight").data, first.get("trunk.0.weight").data, "{balance}");
    }
}

/// The numbers of a balancer move by its own rate, whatever the model's optimizer, weight decay, clip and average do.
#[test]
fn only_the_balancer_moves_its_numbers() {
    for balance in ["uncertainty", "imtl_l", "famo"] {
        let ends =
            ["sgd(lr: 0.05)", "sgd(lr: 0.05, weight_decay: 0.9), clip: 0.01, ema: 0.5", "adam(lr: 0.3)"].map(|train| {
                let spec = spec(balance, train);
                let graph = Graphs::of(&spec.model).expect("right").train;
                let own = graph.parameters.iter().find(|(_, p)| p.role == Role::Balance).expect("numbers").0.clone();
                let (state, _) = steps(ENGINES[0], &spec, &batches(&spec, 1));
                assert!(!state.average.contains_key(&own) && !state.slots.contains_key(&own), "{balance}");
                state.weights.get(&own).data.clone()
            });
        // One step of Adam: each number by the rate.
        let rate = if balance == "famo" { 0.025 } else { 1e-3 };
        assert!(ends[0].iter().all(|n| (n.abs() - rate).abs() < 1e-5), "{balance}: {ends:?}");
        if balance != "famo" {
            assert_eq!(ends[0], ends[1], "{balance}");
            assert_eq!(ends[0], ends[2], "{balance}");
        }
    }
}

/// FAMO compares the losses before and after the step: where the step is too small to change a loss, its numbers stay.
#[test]
fn famo_computes_the_losses_of_the_batch_again() {
    let spec = spec("famo", "sgd(lr: 1e-30)");
    let (state, _) = steps(ENGINES[0], &spec, &batches(&spec, 3));
    assert_eq!(state.weights.get("balance.logits").data, [0.0; 3]);
}

/// The objective that training reports, and that stopping and checkpoints go by, is what is descended.
#[test]
fn the_objective_of_an_evaluation_is_the_one_that_is_trained() {
    for balance in all().filter(|b| b != "random") {
        let spec = spec(&balance, "sgd(lr: 0.05)");
        let graphs = Graphs::of(&spec.model).expect("right");
        let (weights, batch) = (Weights::initial(&graphs.train, 3), batches(&spec, 1).remove(0));
        let value = |graph: &mtlc::graph::Graph, trains: bool| {
            let mut session = ENGINES[0].session(graph);
            let objective = graph.objective().expect("an objective");
            match trains {
                true => session.backward(&weights, &batch, Noise { seed: 0, step: 0 }, &[objective], &[]),
                false => session.forward(&weights, &batch, &[objective]),
            }
            session.result(0)[0]
        };
        let (train, eval) = (value(&graphs.train, true), value(&graphs.eval, false));
        assert!((train - eval).abs() <= 1e-5 * train.abs().max(1.0), "{balance}: {train} and {eval}");
    }
}

const RUN: &str = r#"
model resumed
input  cells: f32[20]
target malignant: class["benign", "malignant"]
target radius: f32[1]
target texture: f32[1]
backbone trunk(cells) = linear(16) -> norm -> tanh -> dropout(0.2) -> linear(8) -> tanh
head diagnosis(trunk) = linear(2)
head size(trunk) = linear(1)
head grain(trunk) = linear(1)
minimize cross_entropy(diagnosis, malignant) + 0.5 * huber(size, radius) + 0.2 * mse(grain, texture)
balance BALANCER
data wdbc = csv("data/wdbc.csv", split: [0.3, 0.1, 0.6], seed: 3) {
  cells = columns(all, except: ["mean texture", "*radius*", "*perimeter*", "*area*"]) -> standardize
  malignant = column("diagnosis")
  radius = column("mean radius") -> standardize -> forget(0.5, seed: 1)
  texture = column("mean texture") -> standardize
}
train { epochs: 3, batch: 16, optimizer: adamw(lr: 3e-3), clip: 1, ema: 0.9 }
"#;

/// Interrupted behind the second of three epochs, and on another number of threads: the same bits as in one go.
#[test]
fn runs_of_every_balancer_are_exact_when_resumed_and_on_any_number_of_threads() {
    for balance in all() {
        let [whole, parts] = [0, 1].map(|_| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            std::fs::create_dir(folder.path().join("data")).expect("a folder");
            let data = crate::train::specs().join("data/wdbc.csv");
            std::fs::copy(data, folder.path().join("data/wdbc.csv")).expect("the data");
            std::fs::write(folder.path().join("m.mtl"), RUN.replace("BALANCER", &balance)).expect("the spec");
            folder
        });
        let spec = Path::new("m.mtl");
        let uninterrupted = train_with(whole.path(), spec, &[], Some(2));
        train_with(parts.path(), spec, &["--stop-after", "2"], Some(1));
        let resumed = train(parts.path(), spec, &["--resume"]);
        for name in ["last.safetensors", "weights.safetensors"] {
            let same = file(whole.path(), &uninterrupted, name) == file(parts.path(), &resumed, name);
            assert!(same, "{balance}: {name} differs");
        }
        let lines = String::from_utf8(file(whole.path(), &uninterrupted, "metrics.jsonl")).expect("text");
        let line: serde_json::Value = serde_json::from_str(lines.lines().last().expect("three")).expect("JSON");
        assert_eq!(line["train"]["weights"].is_object(), balance != "uniform", "{balance}: {line}");
    }
}
