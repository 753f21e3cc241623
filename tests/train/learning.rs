//! What the example specs learn from the embedded data.

use super::{metric, specs, train};

/// The means of metrics on test rows over five splits.
fn over_splits(spec: &str, least: [(&str, f64); 3]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |seed| train(folder.path(), &specs().join(spec), &["--set", &format!("data.wdbc.seed={seed}")]);
    let runs: Vec<_> = (1..=5).map(run).collect();
    for (name, least) in least {
        let values: Vec<f64> = runs.iter().map(|run| metric(run, "test", name)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!(mean >= least, "{name} is {mean} on average: {values:?}");
    }
}

/// A linear model on the same inputs, over twenty splits, has 0.991, 0.89 and 0.90.
#[test]
fn three_tasks_on_one_trunk_learn_the_tumours() {
    over_splits("tumour.mtl", [("auroc(diagnosis)", 0.985), ("r2(size)", 0.87), ("r2(grain)", 0.87)]);
}

#[test]
fn every_task_learns_when_three_labels_in_ten_are_missing() {
    over_splits("missing.mtl", [("auroc(diagnosis)", 0.98), ("r2(size)", 0.86), ("r2(grain)", 0.9)]);
}

/// What a run served in a precision costs: by how much each metric on the test rows differs from that in f32.
fn costs(spec: &str, precision: &str, more: &[&str]) -> Vec<(String, f64)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let set = format!("serve.precision={precision}");
    let run = train(folder.path(), &specs().join(spec), &[more, &["--set", &set]].concat());
    let cost = &run["cost"];
    assert_ne!(cost["f32"]["objective"], cost["rounded"]["objective"], "{spec}: nothing was rounded");
    let difference = |(name, exact): (&String, &serde_json::Value)| {
        let value = |v: &serde_json::Value| v.as_f64().expect("a number");
        (name.clone(), (value(exact) - value(&cost["rounded"]["metrics"][name])).abs())
    };
    cost["f32"]["metrics"].as_object().expect("metrics").iter().map(difference).collect()
}

/// One digit of 270 is 0.004.
#[test]
fn low_precision_costs_little() {
    for (precision, most) in [("bf16", 0.006), ("int8", 0.012)] {
        let more: &[&str] = &["--set", "train.epochs=8"];
        for (spec, more) in [("digits.mtl", more), ("tumour.mtl", &[])] {
            for (metric, cost) in costs(spec, precision, more) {
                assert!(cost <= most, "{precision} moves {metric} of {spec} by {cost}");
            }
        }
    }
}

/// Half of the sentences are right, and one word in twenty is wrong: who always says the same has 0.5, and an F1 of 0.
#[test]
fn one_encoder_judges_sentences_and_tags_words() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = train(folder.path(), &specs().join("agreement.mtl"), &[]);
    for (name, least) in [("accuracy(grammatical)", 0.8), ("f1(culprit)", 0.75), ("entity_f1(phrases)", 0.98)] {
        let value = metric(&run, "test", name);
        assert!(value >= least, "{name} is {value}");
    }
}
