//! `mtlc compare` and `mtlc sweep`: what stands side by side, what it is held against, and what is refused.

use super::lab::{Lab, NEXT, SMALL};
use serde_json::Value;

/// `small` for one of its targets, as a spec of its own with another name for the head.
fn only(name: &str, head: &str, aims: &str) -> String {
    let text = SMALL.replace("model small", &format!("model {name}"));
    let (before, rest) = text.split_once("head which").expect("heads");
    let (_, behind) = rest.split_once("data d").expect("data");
    let text = format!("{before}head {head}\n{aims}\n\ndata d{behind}");
    let target = if aims.contains("kind") { "size" } else { "kind" };
    text.lines()
        .filter(|l| !l.starts_with(&format!("target {target}")) && !l.starts_with(&format!("  {target} ")))
        .collect::<Vec<_>>()
        .join("\n")
}

fn lab() -> Lab {
    let kind = only(
        "kind",
        "answer(trunk) = linear(2)",
        "minimize cross_entropy(answer, kind)\nmeasure accuracy(answer, kind)",
    );
    let size = only("size", "number(trunk) = linear(1)", "minimize mse(number, size)\nmeasure rmse(number, size)");
    Lab::new().write("kind.mtl", kind).write("size.mtl", size).write("next.mtl", NEXT)
}

fn entry<'a>(told: &'a Value, name: &str) -> &'a Value {
    let entries = told["entries"].as_array().expect("entries");
    entries.iter().find(|e| e["name"] == name).unwrap_or_else(|| panic!("no entry {name} in {told}"))
}

#[test]
fn one_model_of_two_tasks_is_held_against_two_models() {
    let lab = lab();
    let told = lab.json(&["compare", "small.mtl", "kind.mtl+size.mtl", "--seeds", "2", "--json"]);
    let (shared, pair) = (entry(&told, "small"), entry(&told, "kind+size"));
    for one in [shared, pair] {
        let metrics = one["metrics"].as_object().expect("metrics");
        assert_eq!(metrics.keys().collect::<Vec<_>>(), ["accuracy(kind)", "rmse(size)"]);
        assert_eq!(metrics["rmse(size)"]["seeds"].as_array().unwrap().len(), 2);
        assert_eq!(
            (&metrics["accuracy(kind)"]["better"], &metrics["rmse(size)"]["better"]),
            (&"higher".into(), &"lower".into())
        );
    }
    // 2 · 4 + 4 of the trunk, 4 · 2 + 2 and 4 + 1 of the heads; the pair has two trunks.
    assert_eq!((&shared["parameters"], &pair["parameters"]), (&27.into(), &39.into()));
    // Δm is the mean over both figures, seed by seed, each in its direction.
    let figure = |e: &Value, name: &str, seed: usize| e["metrics"][name]["seeds"][seed].as_f64().unwrap();
    for seed in 0..2 {
        let gain = figure(pair, "accuracy(kind)", seed) / figure(shared, "accuracy(kind)", seed) - 1.0;
        let less = 1.0 - figure(pair, "rmse(size)", seed) / figure(shared, "rmse(size)", seed);
        let delta = pair["delta"]["seeds"][seed].as_f64().unwrap();
        assert!((delta - (gain + less) / 2.0).abs() < 1e-12, "{delta} of {gain} and {less}");
    }
    assert_eq!(told["baseline"], "small");
    // They are no runs of the project.
    assert!(!lab.path("runs").exists() && lab.path("target/mtl/compare/small/2/run.json").exists());
}

#[test]
fn a_spec_of_several_tasks_is_held_against_its_own_single_ones() {
    let lab = lab();
    let told = lab.json(&["compare", "small.mtl", "--against-single", "--json"]);
    let (single, small) = (entry(&told, "single tasks"), entry(&told, "small"));
    let models: Vec<&str> = single["specs"].as_array().unwrap().iter().map(|s| s["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["small.kind", "small.size"]);
    assert_eq!((&single["parameters"], &small["parameters"]), (&39.into(), &27.into()));
    // A derived model is what one would write: the same seed and paths give the same bits.
    let alone = "which(trunk) = linear(2)";
    lab.put("alone.mtl", only("alone", alone, "minimize cross_entropy(which, kind)\nmeasure accuracy(which, kind)"));
    lab.done(&["compare", "alone.mtl"]);
    let weights = |run: &str| std::fs::read(lab.path(run).join("weights.safetensors")).expect("weights");
    assert_eq!(weights("target/mtl/compare/alone/1"), weights("target/mtl/compare/small.kind/1"));
}

/// The second spec starts from the first one's run of the same seed, and what that took is told.
#[test]
fn what_a_spec_starts_from_is_trained_before_it() {
    let lab = lab();
    let told = lab.json(&["compare", "small.mtl", "next.mtl", "--json"]);
    let (small, next) = (entry(&told, "small"), entry(&told, "next"));
    assert_eq!(next["pretraining_seconds"]["mean"], small["train_seconds"]["mean"]);
    assert_eq!((&next["parameters"], &next["trained_parameters"]), (&17.into(), &5.into()));
    let alone = lab.wrong(&["compare", "next.mtl", "small.mtl"]);
    assert!(alone.contains("there is no run of `small`"), "{alone}");
    lab.done(&["run", "small.mtl"]);
    let told = lab.json(&["compare", "next.mtl", "--json"]);
    assert!(entry(&told, "next")["pretraining_seconds"].is_null(), "a run that was there is not counted");
}

#[test]
fn a_budget_ends_every_training() {
    let lab = lab();
    lab.edit("small.mtl", "epochs: 2", "epochs: 100000");
    let text = lab.done(&["compare", "small.mtl", "--seconds", "0.2", "--html", "page.html"]);
    assert!(text.contains("accuracy(kind) ↑") && text.contains("Budget: 0.2 s"), "{text}");
    let page = lab.read("page.html");
    assert!(page.contains("<h2>Quality</h2>") && page.contains("rmse(size) ↓"), "{page}");
    let text = lab.done(&["compare", "small.mtl", "--epochs", "1"]);
    assert!(text.contains("Budget: 1 epochs") && !text.contains("Δm"), "{text}");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let lab = lab();
    for (args, said) in [
        (&["compare", "small.mtl", "kind.mtl+small.mtl"][..], "two models of `kind+small` have `accuracy(kind)`"),
        (&["compare", "small.mtl", "--baseline", "smal"], "did you mean `small`?"),
        (&["compare", "small.mtl+"], "names no spec beside a `+`"),
        (&["compare", "kind.mtl", "--against-single"], "has one task only"),
        (&["compare", "kind.mtl", "size.mtl", "--against-single"], "is about one spec, and there are 2"),
        (&["sweep", "kind.mtl"], "has one loss"),
        (&["sweep", "small.mtl", "--weights", "whch=1,2"], "did you mean `which`?"),
        (&["sweep", "small.mtl", "--weights", "which=1,-2"], "`-2` is no weight above 0"),
        (&["sweep", "small.mtl", "--weights", "which"], "expected TASK=WEIGHTS"),
        (&["check", "small.mtl", "--set", "minimize.whch=2"], "did you mean `which`?"),
        (&["check", "small.mtl", "--set", "minimize.which=0"], "the weight of a loss is above 0"),
        (&["check", "small.mtl", "--set", "minimize.which=often"], "`often` is no number"),
    ] {
        let told = if args[0] == "check" {
            let args: Vec<&str> = ["build"].iter().chain(&args[1..]).copied().collect();
            lab.wrong(&args)
        } else {
            lab.wrong(args)
        };
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn a_sweep_marks_what_no_other_point_beats() {
    let lab = Lab::new();
    let args = ["sweep", "small.mtl", "--weights", "which=0.1,1", "--weights", "much=0.5,2", "--epochs", "3", "--json"];
    let told = lab.json(&args);
    assert_eq!(told["pareto_by"], serde_json::json!(["accuracy(kind)", "rmse(size)"]));
    let points = told["points"].as_array().expect("points");
    let weights: Vec<[f64; 2]> =
        points.iter().map(|p| ["which", "much"].map(|task| p["weights"][task].as_f64().unwrap())).collect();
    assert_eq!(weights, [[0.1, 0.5], [0.1, 2.0], [1.0, 0.5], [1.0, 2.0]]);
    let figures: Vec<[f64; 2]> = points
        .iter()
        .map(|p| ["accuracy(kind)", "rmse(size)"].map(|name| p["validation"][name].as_f64().unwrap()))
        .collect();
    for (point, own) in points.iter().zip(&figures) {
        let beaten = figures.iter().any(|f| f[0] >= own[0] && f[1] <= own[1] && f != own);
        assert_eq!(point["pareto"], !beaten, "{told}");
    }
    // A point is what `--set` trains: the weights are set in the model, and the run says so.
    let run = lab.read(&format!("{}/run.json", points[1]["run"].as_str().unwrap()));
    assert!(run.contains("minimize.which=0.1") && run.contains("minimize.much=2"), "{run}");
    let text = lab.done(&["sweep", "small.mtl", "--points", "3", "--html", "page.html"]);
    assert_eq!(text.lines().count(), 5, "{text}");
    let page = lab.read("page.html");
    assert!(page.contains("on the Pareto front") && page.contains("<circle"), "{page}");
}
