//! `mtlc bench` from end to end, on a tiny spec without data: what it prints, what it refuses, and that it leaves no files.

use safetensors::SafeTensors;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const SPEC: &str = "model tiny

input  x: f32[3]
target kind: class[2]
target size: f32[1]

backbone trunk(x) = linear(4) -> relu
head which(trunk) = linear(2)
head big(trunk) = linear(8) -> relu -> linear(1)

minimize cross_entropy(which, kind) + mse(big, size)

train { batch: 5, optimizer: adam(lr: 0.1) }
serve { batch: 2 }
";

/// Runs `mtlc bench` in a folder that holds the spec alone.
fn bench(folder: &Path, args: &[&str], stdin: &str) -> Output {
    std::fs::write(folder.join("tiny.mtl"), SPEC).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtlc"));
    command.current_dir(folder).args(["bench", "tiny.mtl"]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    // A command that fails early reads nothing.
    let _ = child.stdin.take().expect("it is piped").write_all(stdin.as_bytes());
    child.wait_with_output().expect("the command ends")
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The JSON that a successful run printed; the folder must hold nothing new.
fn printed(args: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), args, "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(files(folder.path()), ["tiny.mtl"]);
    serde_json::from_slice(&output.stdout).expect("the result is JSON")
}

#[test]
fn the_result_has_its_keys() {
    let train = printed(&["--json", "--steps", "4"]);
    let keys: Vec<&String> = train.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["model", "mode", "engine", "precision", "batch", "flops", "steps", "min_ms", "median_ms", "gflops_per_s"]
    );
    assert_eq!((&train["mode"], &train["batch"], &train["steps"]), (&"train".into(), &5.into(), &4.into()));
    let (min, median) = (train["min_ms"].as_f64().unwrap(), train["median_ms"].as_f64().unwrap());
    assert!(0.0 < min && min <= median, "{min} {median}");
    let rate = train["flops"].as_f64().unwrap() / 1e6 / min;
    assert!((train["gflops_per_s"].as_f64().unwrap() - rate).abs() <= 1e-9 * rate);

    let serve = printed(&["--json", "--mode", "serve", "--engine", "dfdx", "--steps", "1"]);
    assert_eq!((&serve["mode"], &serve["engine"], &serve["batch"]), (&"serve".into(), &"dfdx".into(), &2.into()));
    let one = printed(&["--json", "--mode", "serve", "--heads", "which", "--steps", "1"]);
    let flops = |value: &Value| value["flops"].as_u64().unwrap();
    assert!(0 < flops(&one) && flops(&one) < flops(&serve), "a head that is not asked for costs nothing");
    let more = printed(&["--json", "--mode", "serve", "--batch", "6", "--steps", "1"]);
    assert_eq!(flops(&more), 3 * flops(&serve));
}

#[test]
fn a_profile_tells_what_each_op_costs() {
    let train = printed(&["--json", "--profile", "--steps", "4"]);
    let profile = &train["profile"];
    let ops = profile["ops"].as_array().unwrap();
    let find = |op: &str, of: &str, direction: &str| {
        let same = |o: &&Value| (&o["op"], &o["of"], &o["direction"]) == (&op.into(), &of.into(), &direction.into());
        ops.iter().find(same).unwrap_or_else(|| panic!("no {op} of {of} {direction} in {ops:?}"))
    };
    // A trunk of 3 × 4 numbers over 5 rows: its weight alone has a gradient, so the way back costs what the way there does.
    let (there, back) = (find("linear", "trunk.0", "forward"), find("linear", "trunk.0", "backward"));
    assert_eq!((&there["calls"], &back["calls"]), (&4.into(), &4.into()));
    assert_eq!(there["flops"], back["flops"]);
    let (there, back) = (find("linear", "which", "forward"), find("linear", "which", "backward"));
    assert_eq!(2.0 * there["flops"].as_f64().unwrap(), back["flops"].as_f64().unwrap());
    // 5 rows of 4 numbers, 2 × 4 weights and 2 biases are read, and 5 × 2 answers written, four times.
    assert_eq!(there["bytes"].as_f64().unwrap(), 4.0 * 4.0 * (20 + 8 + 2 + 10) as f64);
    let others = profile["others"].as_array().unwrap();
    let names: Vec<&str> = others.iter().map(|o| o["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["balancing", "norm of the gradients", "optimizer", "running statistics", "everything else"]);
    let all: f64 = ops.iter().chain(others).map(|o| o["ms"].as_f64().unwrap()).sum();
    let ms = profile["ms"].as_f64().unwrap();
    assert!((all - ms).abs() <= 0.01 * ms, "the parts add up to {all} of {ms} ms");
    assert!(profile["peak_gflops_per_s"].as_f64().unwrap() > 0.0 && profile["peak_gb_per_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn lines_of_stdin_are_answered_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), &["--interactive"], "3\n1\n");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert!(output.status.success());
    assert_eq!(lines[0]["model"], "tiny");
    assert_eq!(lines[1..].iter().map(|l| l["steps"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(files(folder.path()), ["tiny.mtl"]);
}

#[test]
fn a_dump_holds_what_a_peer_needs() {
    let folder = tempfile::tempdir().unwrap();
    let output = bench(folder.path(), &["--steps", "1", "--warmup", "40", "--dump", "out.safetensors"], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(folder.path().join("out.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).shape().to_vec();
    assert_eq!(shape("weights/trunk.0.weight"), [4, 3]);
    assert_eq!(shape("rows/x"), [5, 3]);
    assert_eq!(shape("rows/kind"), [5]);
    let data = file.tensor("objectives").unwrap().data().to_vec();
    let objectives: Vec<f32> = data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(objectives.len(), 40);
    assert!(objectives[39] < objectives[0], "its steps are steps of training: {objectives:?}");

    // The answers are those of the weights that are given, of which a dump is no file.
    let wrong = bench(folder.path(), &["--weights", "out.safetensors"], "");
    assert_eq!(wrong.status.code(), Some(1));
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert!(text.contains("the weights do not fit the model"), "{text}");
}

#[test]
fn what_is_wrong_is_told() {
    let cases: [(&[&str], &str, i32, &str); 7] = [
        (&["--heads", "which"], "", 1, "a training step computes every head"),
        (&["--mode", "serve", "--heads", "wich"], "", 1, "there is no head `wich`"),
        (&["--engine", "plan"], "", 1, "there is no engine `plan`"),
        (&["--weights", "none.safetensors"], "", 1, "there is no such file of weights"),
        (&["--interactive"], "soon\n", 1, "`soon` is no number of steps"),
        (&["--engine", "dfdx", "--profile"], "", 1, "the engine `dfdx` cannot tell what each op costs"),
        (&["--steps", "0"], "", 2, "invalid value '0'"),
    ];
    for (args, stdin, code, message) in cases {
        let folder = tempfile::tempdir().unwrap();
        let output = bench(folder.path(), args, stdin);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(message), "{args:?}: {text}");
        assert_eq!(files(folder.path()), ["tiny.mtl"]);
    }
}

#[test]
fn the_specs_of_the_harness_are_right_and_in_their_layout() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/specs");
    let specs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(!specs.is_empty());
    for args in [&["check"][..], &["fmt", "--check"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_mtlc")).args(args).args(&specs).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
