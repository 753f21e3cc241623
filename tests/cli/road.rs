//! The way from nothing to predictions, and the other commands when all is well.

use super::lab::{Lab, NEXT, pin};

fn tell(lab: &Lab, commands: &[&[&str]]) -> String {
    commands.iter().map(|args| lab.transcript(args)).collect()
}

#[test]
fn a_model_is_built_trained_measured_and_asked() {
    let lab = Lab::new().write("new.csv", "a,b\n0.5,0.25\n-0.5,-0.25\n").write("none.csv", "a,b\n");
    let commands: &[&[&str]] = &[
        &["check", "small.mtl"],
        &["build", "small.mtl"],
        &["run", "small.mtl"],
        &["eval", "small.mtl"],
        &["eval", "small.mtl", "--split", "validation", "--run", "1"],
        &["predict", "small.mtl", "--input", "new.csv"],
        &["predict", "--input", "new.csv", "small.mtl", "--format", "csv"],
        &["predict", "small.mtl", "--input", "new.csv", "--input", "new.csv", "--heads", "much"],
        &["predict", "small.mtl", "--input", "none.csv"],
        &["predict", "small.mtl", "--input", "none.csv", "--format", "csv"],
        &["predict", "small.mtl", "--input", "new.csv", "--output", "answers.jsonl"],
    ];
    pin("road", &tell(&lab, commands));
    assert_eq!(lab.read("answers.jsonl"), lab.done(&["predict", "small.mtl", "--input", "new.csv"]));
    assert_eq!(
        lab.done(&["predict", "small.mtl"]).lines().count(),
        24,
        "without `--input`, every row of the spec's file"
    );
    let files: Vec<String> = lab.files().into_iter().filter(|f| f.starts_with("runs/small/1/")).collect();
    let names = [
        "last.safetensors",
        "metrics.jsonl",
        "plan.yaml",
        "report.html",
        "run.json",
        "spec.mtl",
        "weights.safetensors",
    ];
    assert_eq!(files, names.map(|name| format!("runs/small/1/{name}")));
}

#[test]
fn a_project_needs_no_arguments() {
    let lab = Lab::empty();
    let told = tell(&lab, &[&["new", "own"], &["new", "digits", "--template", "transfer"], &["new", "own"]]);
    pin("new", &told);
    let own = |args: &[&str]| lab.command(args).current_dir(lab.path("own")).output().expect("it starts");
    assert!(own(&["check"]).status.success());
    assert!(own(&["fmt", "--check"]).status.success(), "a template is laid out canonically");
    assert!(own(&["build"]).status.success());
    let output = own(&["run", "--set", "train.epochs=1"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(lab.path("own/runs/tumour/1/report.html").is_file());
    assert!(lab.path("own/target/mtl/tumour/plan.yaml").is_file());
    let digits = |args: &[&str]| lab.command(args).current_dir(lab.path("digits")).output().expect("it starts");
    let output = digits(&["build", "--json"]);
    let built: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let models: Vec<&str> =
        built["built"].as_array().expect("a list").iter().filter_map(|b| b["model"].as_str()).collect();
    assert_eq!(models, ["digits", "digits_transfer"]);
}

#[test]
fn settings_come_from_the_command_line_and_the_project() {
    let lab =
        Lab::new().write("mtlc.yaml", "runs: elsewhere\nengine: dfdx\nset:\n  train.epochs: 3\n  data.d.seed: 3\n");
    assert_eq!(lab.json(&["run", "--json"])["runs"][0]["epochs"], 3);
    assert!(lab.path("elsewhere/small/1/report.html").is_file());
    // The command line comes last, so it decides.
    assert_eq!(lab.json(&["run", "--json", "--set", "train.epochs=1"])["runs"][0]["epochs"], 1);
    let record: serde_json::Value = serde_json::from_str(&lab.read("elsewhere/small/1/run.json")).expect("JSON");
    assert_eq!(record["overrides"], serde_json::json!(["data.d.seed=3", "train.epochs=3"]));
    lab.done(&["run", "small.mtl", "--set", "train.optimizer=sgd(lr: 0.1)", "--runs", "third"]);
    assert!(lab.path("third/small/1/report.html").is_file());
}

#[test]
fn one_model_begins_with_what_another_learned() {
    let lab = Lab::new().write("next.mtl", NEXT).write("mtlc.yaml", "specs: [small.mtl, next.mtl]\n");
    pin("transfer", &tell(&lab, &[&["run"], &["eval", "next.mtl", "--split", "test"]]));
    let runs = lab.json(&["run", "next.mtl", "--json"]);
    assert_eq!(runs["runs"][0]["frozen"]["tensors"], 2);
}

#[test]
fn specs_are_laid_out() {
    let lab = Lab::with("backbone trunk(x) = linear(4) -> relu", "backbone trunk( x )=linear( 4 )->relu");
    lab.put("link/note.txt", "");
    let commands: &[&[&str]] = &[
        &["fmt", "--check", "small.mtl"],
        &["fmt", "--check", "--json", "small.mtl"],
        &["fmt", "small.mtl"],
        &["fmt", "--check", "small.mtl"],
    ];
    pin("fmt", &tell(&lab, commands));
    assert_eq!(lab.read("small.mtl"), super::lab::SMALL);
}

#[cfg(unix)]
#[test]
fn a_spec_behind_a_link_keeps_its_link_and_permissions() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let lab = Lab::with("linear(4) -> relu", "linear( 4 )->relu");
    std::fs::set_permissions(lab.path("small.mtl"), PermissionsExt::from_mode(0o640)).expect("permissions");
    symlink("small.mtl", lab.path("link.mtl")).expect("a link");
    lab.done(&["fmt", "link.mtl"]);
    assert!(lab.path("link.mtl").is_symlink());
    assert_eq!(lab.read("small.mtl"), super::lab::SMALL);
    let mode = |name: &str| lab.path(name).metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode("small.mtl"), 0o640);
    lab.put("plain", "");
    lab.done(&["build", "link.mtl"]);
    assert_eq!(mode("target/mtl/small/plan.yaml"), mode("plain"), "files are made as any other program makes them");
}

#[test]
fn names_are_explained() {
    let lab = Lab::new();
    let commands: &[&[&str]] = &[
        &["explain", "losses"],
        &["explain", "adamw"],
        &["explain", "adm"],
        &["explain", "xyzzy"],
        &["explain", "--passes", "small.mtl"],
        &["explain", "--passes", "small.mtl", "--stop-after", "own_moments"],
        &["explain", "small.mtl", "--stop-after", "fuse_epilogue"],
        &["explain", "small.mtl", "--stop-after", "fuse_epilog"],
        &["explain", "--stage", "model", "small.mtl", "--set", "train.epochs=7"],
    ];
    pin("explain", &tell(&lab, commands));
    for line in ["layers\n", "losses\n", "preparation-steps\n", " conv "] {
        assert!(lab.done(&["explain"]).contains(line), "{line}");
    }
    for (stage, holds) in
        [("ast", "minimize"), ("model", "head which"), ("graph", "linear"), ("plan", "model: small\n")]
    {
        let text = lab.done(&["explain", "small.mtl", "--stage", stage]);
        assert!(text.contains(holds) && !text.ends_with("\n\n"), "{stage}: {text}");
        assert_eq!(
            lab.json(&["explain", "small.mtl", "--json", "--stage", stage])["text"].as_str().map(str::trim_end),
            Some(text.trim_end())
        );
    }
}

#[test]
fn json_has_the_keys_that_tools_read() {
    let lab = Lab::new();
    let cases: &[(&[&str], &str)] = &[
        (&["check", "small.mtl"], "/specs/0/model"),
        (&["check", "small.mtl"], "/specs/0/warnings"),
        (&["build", "small.mtl"], "/built/0/memory/train_bytes"),
        (&["build", "small.mtl"], "/built/0/parts/0/trained"),
        (&["run", "small.mtl"], "/runs/0/results/test/metrics/accuracy(which)"),
        (&["run", "small.mtl"], "/runs/0/best_epoch"),
        (&["eval", "small.mtl"], "/evaluations/0/results/validation/losses/which"),
        (&["eval", "small.mtl", "--split", "test"], "/evaluations/0/results/test/rows"),
        (&["fmt", "small.mtl"], "/changed"),
        (&["new", "own"], "/files/0"),
        (&["devices"], "/engines/0/name"),
        (&["devices"], "/cuda/devices"),
        (&["devices"], "/cpu/threads"),
        (&["explain"], "/0/arguments"),
        (&["explain", "losses"], "/0/summary"),
        (&["explain", "adamw"], "/0/arguments/0/default"),
        (&["explain", "small.mtl", "--passes"], "/passes/0/before"),
        (&["explain", "small.mtl", "--passes"], "/passes/4/did"),
        (&["explain", "small.mtl", "--stop-after", "layout"], "/stop_after"),
    ];
    for (args, pointer) in cases {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let value = lab.json(&args);
        assert!(value.pointer(pointer).is_some(), "{args:?} has no {pointer}: {value:#}");
    }
    assert_eq!(lab.json(&["devices", "--json"])["engines"][0]["name"], "planned");
    let devices = lab.done(&["devices"]);
    assert!(devices.starts_with("  engine planned ") && devices.contains("kernels portable"), "{devices}");
}

#[test]
fn a_profile_of_a_run_tells_where_its_time_went() {
    let lab = Lab::new();
    let profile = &lab.json(&["run", "small.mtl", "--profile", "--json"])["runs"][0]["profile"];
    let ops = profile["ops"].as_array().expect("ops");
    let find = |op: &str, of: &str, direction: &str| {
        let same = |o: &&serde_json::Value| {
            (&o["op"], &o["of"], &o["direction"]) == (&op.into(), &of.into(), &direction.into())
        };
        ops.iter().find(same).unwrap_or_else(|| panic!("no {op} of {of} {direction} in {ops:?}"))
    };
    // 12 rows to train, in batches of 4, twice.
    assert_eq!(find("linear", "which", "forward")["calls"], 6);
    assert_eq!(find("linear", "which", "backward")["calls"], 6);
    let others = profile["others"].as_array().expect("others").iter();
    let all: f64 = ops.iter().chain(others).map(|o| o["ms"].as_f64().expect("a time")).sum();
    let ms = profile["ms"].as_f64().expect("a time");
    assert!((all - ms).abs() <= 0.01 * ms, "the parts add up to {all} of {ms} ms");
    let text = lab.done(&["run", "small.mtl", "--profile"]);
    assert!(text.contains("by layer, the 20 that took longest") && text.contains("accuracy(which)"), "{text}");
    let told = lab.wrong(&["run", "small.mtl", "--profile", "--engine", "dfdx"]);
    assert!(told.contains("the engine `dfdx` cannot tell what each op costs"), "{told}");
}
