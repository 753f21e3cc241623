//! Several sources with some of the labels each: what an epoch draws of them, what each task meets, and that it learns.

use super::{file, metric, specs, train};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Two sources of 60 and 20 rows: the one gives `y = 2a − b`, with every third label missing, the other `z = a + b`.
const SPEC: &str = r#"
model two
input  x: f32[2]
target y: f32[1]
target z: f32[1]
backbone trunk(x) = linear(4)
head first(trunk)  = linear(1)
head second(trunk) = linear(1)
minimize mse(first, y) + mse(second, z)
measure  r2(first, y), r2(second, z)
data drives = csv("drives.csv", split: [0.8, 0.1, 0.1]) { x = columns(["a", "b"])  y = column("y") }
data marked = csv("marked.csv", split: [0.8, 0.1, 0.1]) { x = columns(["a", "b"])  z = column("z") }
train { epochs: 40, batch: 8, optimizer: adam(lr: 2e-2) }
"#;

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut drives, mut marked) = ("a,b,y\n".to_string(), "a,b,z\n".to_string());
    for i in 0..60 {
        let (a, b) = (f64::from(i * 37 % 20) / 10.0 - 1.0, f64::from(i * 53 % 17) / 8.0 - 1.0);
        let y = if i % 3 == 0 { String::new() } else { (2.0 * a - b).to_string() };
        let _ = writeln!(drives, "{a},{b},{y}");
        if i < 20 {
            let _ = writeln!(marked, "{a},{b},{}", a + b);
        }
    }
    std::fs::write(folder.path().join("drives.csv"), drives).expect("the data");
    std::fs::write(folder.path().join("marked.csv"), marked).expect("the data");
    std::fs::write(folder.path().join("two.mtl"), SPEC).expect("the spec");
    folder
}

/// The training record of each epoch.
fn epochs(folder: &Path, run: &Value) -> Vec<Value> {
    let text = String::from_utf8(file(folder, run, "metrics.jsonl")).expect("the history is text");
    text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["train"].take()).collect()
}

fn numbers(record: &Value, key: &str, names: [&str; 2]) -> [u64; 2] {
    names.map(|name| record[key][name].as_u64().unwrap_or_else(|| panic!("no {key} of {name}: {record}")))
}

/// 48 and 16 training rows. By size each is met once; at a temperature of 2 the counts are as √48 to √16.
#[test]
fn sources_are_drawn_as_the_spec_says_and_every_task_learns() {
    for (sample, rows) in [
        ("by_size", [48, 16]),
        ("by_size(temperature: 2)", [41, 23]),
        ("weights(drives: 1, marked: 3)", [16, 48]),
        ("round_robin", [32, 32]),
    ] {
        let folder = project();
        let run = train(folder.path(), Path::new("two.mtl"), &["--set", &format!("train.sample={sample}")]);
        let records = epochs(folder.path(), &run);
        for record in &records {
            assert_eq!(numbers(record, "rows", ["drives", "marked"]), rows, "{sample}");
            let [y, z] = numbers(record, "labels", ["first", "second"]);
            assert_eq!(z, rows[1], "{sample}: every row of `marked` has a label");
            assert!((1..rows[0]).contains(&y), "{sample}: {y} labels of {} rows", rows[0]);
        }
        // In turns, no batch has labels of both tasks, and still both learn.
        for name in ["r2(first)", "r2(second)"] {
            assert!(metric(&run, "test", name) > 0.99, "{sample}: {run}");
        }
        if sample == "by_size" {
            // Each row once: exactly the labels that are there.
            let labels: Vec<u64> = records.iter().map(|r| numbers(r, "labels", ["first", "second"])[0]).collect();
            assert!(labels.iter().all(|n| *n == labels[0]), "{labels:?}");
        }
    }
}

/// What is drawn follows from seed and epoch, so a resumed run ends with the same bits.
#[test]
fn a_resumed_run_draws_what_an_uninterrupted_one_draws() {
    for sample in ["by_size(temperature: 3)", "weights(drives: 2, marked: 5)", "round_robin"] {
        let folder = project();
        let set = format!("train.sample={sample}");
        let more = ["--set", &set, "--set", "train.epochs=5"];
        let whole = train(folder.path(), Path::new("two.mtl"), &more);
        train(folder.path(), Path::new("two.mtl"), &[&more[..], &["--stop-after", "2"]].concat());
        let resumed = train(folder.path(), Path::new("two.mtl"), &[&more[..], &["--resume"]].concat());
        assert_ne!(whole["run"], resumed["run"]);
        for name in ["last.safetensors", "weights.safetensors"] {
            assert!(
                file(folder.path(), &whole, name) == file(folder.path(), &resumed, name),
                "{sample}: {name} differs"
            );
        }
        assert_eq!(epochs(folder.path(), &whole), epochs(folder.path(), &resumed));
    }
}

/// What is told before the first epoch.
#[test]
fn what_is_drawn_and_labelled_is_told() {
    let folder = project();
    let output = Command::new(env!("CARGO_BIN_EXE_mtlc"))
        .current_dir(folder.path())
        .args(["run", "two.mtl", "--set", "train.epochs=1", "--set", "train.sample=round_robin"])
        .output()
        .expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("z: 16 of 64 training rows have this label (drives: 0 of 48, marked: 16 of 16)"), "{said}");
    assert!(said.contains("sample: the first epoch draws 32 rows of `drives`, 32 rows of `marked`"), "{said}");
    let report = std::fs::read_to_string(folder.path().join("runs/two/1/report.html")).expect("the report");
    assert!(report.contains("Rows met in the last epoch"));
}

/// Of `missing.mtl` about a third of the rows has all three labels, and each task meets those.
#[test]
fn complete_rows_alone_are_trained_on_where_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = ["--set", "train.epochs=2", "--set", "train.complete=true"];
    let run = train(folder.path(), &specs().join("missing.mtl"), &more);
    let labels = &epochs(folder.path(), &run)[1]["labels"];
    let counts: Vec<u64> = ["diagnosis", "size", "grain"].map(|t| labels[t].as_u64().expect("a count")).to_vec();
    assert!(counts.iter().all(|n| *n == counts[0] && (100..180).contains(n)), "{counts:?}");

    let folder = project();
    let output = Command::new(env!("CARGO_BIN_EXE_mtlc"))
        .current_dir(folder.path())
        .args(["run", "two.mtl", "--set", "train.complete=true"])
        .output()
        .expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no training row has the label of every task"), "{said}");
    assert!(!folder.path().join("runs").exists(), "a run that never began left a folder");
}
