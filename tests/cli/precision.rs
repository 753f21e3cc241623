//! Serving in low precision: what it costs is printed, its calibration is kept in the run, and damage to it is found.

use super::lab::{Lab, pin};
use serde_json::Value;

const INT8: &[&str] = &["--set", "serve.precision=int8"];

fn with<'a>(command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [command, more].concat()
}

fn calibration(lab: &Lab) -> Value {
    serde_json::from_str(&lab.read("runs/small/1/calibration.json")).expect("a calibration")
}

#[test]
fn a_run_calibrates_and_says_what_it_costs() {
    let lab = Lab::with("train {", "serve { precision: int8 }\n\ntrain {");
    let told = lab.done(&["run", "small.mtl"]);
    assert!(told.contains("what int8 costs on test") && told.contains("difference"), "{told}");
    let kept = calibration(&lab);
    let ranges: Vec<&str> = kept["ranges"].as_object().expect("ranges").keys().map(String::as_str).collect();
    assert_eq!((&kept["rows"], ranges), (&12.into(), vec!["trunk.0.weight", "which.weight", "much.weight"]));
    // What is kept is used.
    lab.edit("runs/small/1/calibration.json", "\"rows\": 12", "\"rows\": 11");
    let told = lab.json(&["eval", "small.mtl", "--json"]);
    let cost = &told["evaluations"][0]["cost"];
    assert_eq!((&cost["precision"], &cost["split"]), (&"int8".into(), &"test".into()));
    assert_ne!(cost["f32"]["objective"], cost["rounded"]["objective"], "nothing was rounded");
    assert_eq!(calibration(&lab)["rows"], 11, "a calibration of the same weights was measured anew");
}

#[test]
fn a_run_in_f32_is_calibrated_when_int8_is_asked_for() {
    let lab = Lab::trained();
    assert!(!lab.files().contains(&"runs/small/1/calibration.json".into()));
    let plain = lab.json(&["eval", "small.mtl", "--json"]);
    assert_eq!(plain["evaluations"][0]["cost"], Value::Null);
    let exact = lab.done(&["predict", "small.mtl"]);
    let rounded = lab.done(&with(&["predict", "small.mtl"], INT8));
    assert_ne!(exact, rounded);
    let first = calibration(&lab);
    // Other weights need another calibration.
    let stale = lab.read("runs/small/1/calibration.json").replace(first["weights"].as_str().expect("a hash"), "other");
    lab.put("runs/small/1/calibration.json", stale.replace("\"rows\": 12", "\"rows\": 1"));
    assert_eq!(lab.done(&with(&["predict", "small.mtl"], INT8)), rounded);
    assert_eq!(calibration(&lab), first);
    // Some heads alone answer the same.
    let one = lab.done(&with(&["predict", "small.mtl", "--heads", "much"], INT8));
    let number = |line: &str| serde_json::from_str::<Value>(line).expect("an answer")["much"].clone();
    assert!(one.lines().map(number).eq(rounded.lines().map(number)));
}

/// Sums of int8 are exact, so with a kept calibration all kernels give the same bits. Those of bf16 differ in their last ones.
#[test]
fn every_set_of_instructions_answers_alike() {
    let lab = Lab::trained();
    let predict = with(&["predict", "small.mtl"], INT8);
    let fast = lab.done(&predict);
    assert_eq!(fast, lab.done(&with(&["--kernels", "portable"], &predict)));
    let predict = ["predict", "small.mtl", "--heads", "much", "--set", "serve.precision=bf16"];
    let (fast, plain) = (lab.done(&predict), lab.done(&with(&["--kernels", "portable"], &predict)));
    let number =
        |line: &str| serde_json::from_str::<Value>(line).expect("an answer")["much"].as_f64().expect("a number");
    for (a, b) in fast.lines().zip(plain.lines()) {
        assert!((number(a) - number(b)).abs() < 1e-2, "{a} and {b}");
    }
}

#[test]
fn a_bench_says_what_it_measured() {
    let lab = Lab::new();
    let bench = ["bench", "small.mtl", "--mode", "serve", "--steps", "1", "--json", "--set", "serve.precision=bf16"];
    assert_eq!(lab.json(&bench)["precision"], "bf16");
    assert!(lab.done(&with(&["bench", "small.mtl", "--mode", "serve", "--steps", "1"], INT8)).contains(" in int8"));
    // Training is in f32 whatever is served.
    assert_eq!(lab.json(&with(&["bench", "small.mtl", "--steps", "1", "--json"], INT8))["precision"], "f32");
}

#[test]
fn what_is_wrong_with_a_calibration_is_said() {
    let lab = Lab::trained();
    let (eval, predict) = (with(&["eval", "small.mtl"], INT8), with(&["predict", "small.mtl"], INT8));
    lab.done(&eval);
    let whole = lab.read("runs/small/1/calibration.json");
    let mut text = lab.wrong(&["eval", "small.mtl", "--set", "serve.precision=int4"]);
    lab.put("runs/small/1/calibration.json", &whole[..whole.len() / 2]);
    text += &lab.wrong(&eval);
    lab.put(
        "runs/small/1/calibration.json",
        whole.replacen("\"trunk.0.weight\": [\n      -", "\"trunk.0.weight\": [\n      9", 1),
    );
    text += &lab.wrong(&predict);
    // Without it and without the training rows there is nothing to measure.
    std::fs::remove_file(lab.path("runs/small/1/calibration.json")).expect("it was there");
    std::fs::rename(lab.path("d.csv"), lab.path("e.csv")).expect("it was there");
    text += &lab.wrong(&with(&predict, &["--input", "e.csv"]));
    pin("wrong_precision", &text);
}
