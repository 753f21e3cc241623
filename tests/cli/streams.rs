//! Exit statuses, and what goes to which stream.

use super::lab::{Lab, SMALL};
use std::process::Stdio;

#[test]
fn the_exit_status_says_whose_turn_it_is() {
    let lab = Lab::new();
    let status = |args: &[&str]| lab.run(args).status.code();
    for fine in [&["--help"][..], &["--version"], &["run", "--help"], &["check", "small.mtl"]] {
        assert_eq!(status(fine), Some(0), "{fine:?}");
    }
    for mistaken in [&["check", "other.mtl"][..], &["explain", "adm"], &["run", "small.mtl", "--set", "train.epochs=0"]]
    {
        assert_eq!(status(mistaken), Some(1), "{mistaken:?}");
    }
    let usage = [
        &[][..],
        &["frobnicate"],
        &["run", "--frobnicate"],
        &["new"],
        &["new", "a", "--template", "b"],
        &["predict", "small.mtl", "--format", "xml"],
        &["run", "small.mtl", "--stop-after", "0"],
        &["eval", "small.mtl", "--run", "x"],
    ];
    for usage in usage {
        let output = lab.run(usage);
        assert_eq!(output.status.code(), Some(2), "{usage:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{usage:?}");
    }
}

#[test]
fn stdout_has_results_and_pipes_get_no_colour() {
    let lab = Lab::new();
    for args in
        [&["run", "small.mtl"][..], &["run", "small.mtl", "--json"], &["build", "small.mtl"], &["explain", "adm"]]
    {
        let output = lab.run(args);
        for stream in [&output.stdout, &output.stderr] {
            assert!(!stream.contains(&0x1b), "{args:?}: {}", String::from_utf8_lossy(stream));
        }
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!stdout.contains("epoch   1") && !stdout.contains("error"), "{args:?}: {stdout}");
        assert!(args[0] != "run" || stderr.contains("epoch   1"), "{args:?}: {stderr}");
    }
}

#[test]
fn several_wrong_specs_are_told_at_once_and_as_one_object() {
    let lab = Lab::new().write("b.mtl", "model b\n").write("c.mtl", SMALL.replace("relu", "rely"));
    for command in ["check", "build", "run"] {
        let output = lab.run(&[command, "--json"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
        let files: Vec<&str> =
            value["diagnostics"].as_array().expect("a list").iter().filter_map(|d| d["file"].as_str()).collect();
        assert!(files.contains(&"b.mtl") && files.contains(&"c.mtl"), "{files:?}");
        assert!(!lab.path("target").exists(), "{command}: when one spec is wrong, no plan is written");
    }
    lab.put("c.mtl", "model c (\n");
    lab.put("b.mtl", "model )\n");
    let told = lab.wrong(&["fmt", "--check"]);
    assert!(told.contains("b.mtl:1") && told.contains("c.mtl:1"), "{told}");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let lab = Lab::trained();
    let mut child = lab.command(&["predict", "small.mtl"]).stdout(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let lab = Lab::trained();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let output = lab.command(&["predict", "small.mtl"]).stdout(full).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("cannot write the result"), "{told}");
    // Devices are written to, never replaced.
    let output = lab.run(&["predict", "small.mtl", "--output", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(std::fs::metadata("/dev/full").is_ok_and(|m| !m.is_file()));
    assert_eq!(lab.done(&["predict", "small.mtl", "--output", "/dev/stdout"]), lab.done(&["predict", "small.mtl"]));
}
