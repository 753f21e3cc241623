//! The rules of the house, read off the source as text: which room may use what, where each idea is listed, what a file
//! says of itself, and that nothing is left behind.
//!
//! Every test first shows its rule a small tree that breaks it, and then the repository.

mod rules;
mod source;

use rules::*;
use source::{Fault, File, walk};
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file that belongs to the repository, apart from those at the top.
fn tree() -> Vec<File> {
    let mut files = vec![];
    ["src", "tests", "grammar", "specs"].iter().for_each(|folder| walk(root(), folder, &mut files));
    files
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// What git tracks. Outside of a checkout nobody knows what belongs here, and there is nothing to check.
fn tracked() -> Vec<String> {
    let output = std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let list = output.ok().filter(|o| o.status.success()).map(|o| String::from_utf8(o.stdout).unwrap());
    list.unwrap_or_default().split('\0').filter(|p| !p.is_empty()).map(String::from).collect()
}

/// Shows that the rule finds these places in a wrong tree, and then that it finds none in the repository.
fn holds(rule: impl Fn(&[File]) -> Vec<Fault>, wrong: &[(&str, &str)], places: &[&str]) {
    let wrong: Vec<File> = wrong.iter().map(|(path, text)| File::new(path, text)).collect();
    let found = rule(&wrong);
    let at: Vec<&str> = found.iter().map(|fault| fault.split_once(": ").expect("a place and a reason").0).collect();
    assert_eq!(at, places, "the rule does not see what is wrong in its sample: {found:#?}");
    let faults = rule(&tree());
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_room_uses_only_what_stands_above_it() {
    let order: Vec<String> = rooms(&read("src/lib.rs"));
    assert_eq!((order.first().unwrap().as_str(), order.last().unwrap().as_str()), ("base", "cli"));
    let wrong = [
        (
            "src/base/a.rs",
            "use crate::{base, ops::{Op, model}};\nuse super::x;\n// crate::cli\nconst A: &str = \"crate::cli\";",
        ),
        (
            "src/ops/mod.rs",
            "use super::base;\nuse super::cli::b;\nfn f() { crate::data::g() }\nmacro_rules! m { () => { $crate::model::N } }",
        ),
        (
            "src/ops/value.rs",
            "#[macro_export]\nmacro_rules! each { () => {} }\n#[cfg(test)]\nmod tests { use crate::cli::c; }",
        ),
        ("src/ops/a/b.rs", "use super::super::super::data;\nuse super::super::data;"),
        ("src/graph/a.rs", "use crate::each;\nuse crate::nowhere::d;"),
        ("src/syntax/a.rs", "use crate::{\n    each,\n    base,\n};"),
    ];
    let places = [
        "src/base/a.rs:1",
        "src/ops/mod.rs:2",
        "src/ops/mod.rs:3",
        "src/ops/mod.rs:4",
        "src/ops/a/b.rs:1",
        "src/graph/a.rs:2",
        "src/syntax/a.rs:2",
    ];
    holds(|files| layers(files, &order), &wrong, &places);
}

#[test]
fn only_the_parser_knows_pest() {
    let rule =
        |f: &[File]| confined(f, &["pest", "pest_derive"], &["syntax"], "other rooms see the tree, not the grammar");
    holds(
        rule,
        &[("src/model/a.rs", "use pest::Parser;"), ("src/syntax/a.rs", "use pest::Parser;")],
        &["src/model/a.rs:1"],
    );
}

#[test]
fn only_project_and_plan_files_are_yaml() {
    let rule = |f: &[File]| {
        confined(f, &["serde_yaml"], &["model", "plan"], "the project file and the plan are the only YAML")
    };
    holds(rule, &[("src/cli/a.rs", "\nlet a = serde_yaml::b();")], &["src/cli/a.rs:2"]);
}

#[test]
fn only_kernels_know_cuda() {
    let rule =
        |f: &[File]| confined(f, &["cudarc"], &["kernels"], "devices stand behind the safe functions of the kernels");
    holds(rule, &[("src/engine/a.rs", "use cudarc::driver;")], &["src/engine/a.rs:1"]);
}

#[test]
fn only_ops_and_engines_compute_with_dfdx() {
    let rule = |f: &[File]| confined(f, &["dfdx"], &["ops", "engine"], "other rooms speak of ops, not of tensors");
    holds(
        rule,
        &[("src/train/a.rs", "use dfdx::prelude::Cpu;"), ("src/ops/a.rs", "use dfdx::prelude::Cpu;")],
        &["src/train/a.rs:1"],
    );
}

#[test]
fn only_some_rooms_touch_files() {
    let names = ["std::fs", "fs::", "File::open", "File::create", "tempfile", ".exists()", ".is_file()", ".is_dir()"];
    let rooms = ["files", "weights", "data", "model", "engine", "train", "cli"];
    let rule = |f: &[File]| confined(f, &names, &rooms, "this room does no I/O: data and files come in as values");
    holds(
        rule,
        &[("src/graph/a.rs", "use std::fs;"), ("src/report/a.rs", "a\n  .exists()")],
        &["src/graph/a.rs:1", "src/report/a.rs:2"],
    );
}

#[test]
fn only_the_command_line_prints_and_exits() {
    let names = ["print!", "println!", "eprint!", "eprintln!", "stdout()", "stderr()", "process::exit"];
    let rule = |f: &[File]| confined(f, &names, &["cli"], "results and messages are values until `cli/` prints them");
    holds(
        rule,
        &[("src/train/a.rs", "eprintln!();\nstd::process::exit(1)")],
        &["src/train/a.rs:1", "src/train/a.rs:2"],
    );
}

#[test]
fn unsafe_code_says_why_it_is_sound() {
    let wrong = [
        ("src/ops/a.rs", "// SAFETY: no.\nunsafe { b() }\n// an unsafe comment\n\"unsafe\";"),
        ("src/kernels/a.rs", "// SAFETY: it is\n// so.\nlet a = unsafe { b() };\n\nlet c = unsafe { d() };"),
        (
            "src/kernels/b.rs",
            "/// # Safety\n/// Always.\n#[inline]\nunsafe fn a() {}\n// SAFETY: no.\nunsafe fn b() {}",
        ),
    ];
    holds(unsafe_code, &wrong, &["src/ops/a.rs:2", "src/kernels/a.rs:5", "src/kernels/b.rs:6"]);
}

#[test]
fn nothing_is_left_to_do() {
    let wrong = [("src/ops/a.rs", "todo!()\nunimplemented!()\ndbg!(x)\n\"todo!()\"")];
    holds(leftovers, &wrong, &["src/ops/a.rs:1", "src/ops/a.rs:2", "src/ops/a.rs:3"]);
}

#[test]
fn a_file_says_what_it_is() {
    holds(opens_with_prose, &[("src/a.rs", "use b;\n//! c"), ("tests/b.rs", "//! d")], &["src/a.rs:1"]);
}

#[test]
fn a_long_file_says_why() {
    let long = "//! Long.\n".to_string() + &"\n".repeat(400);
    let reason = "//! Over 400 lines, because the table is.\n".to_string() + &long;
    holds(too_long, &[("src/a.rs", &long), ("src/b.rs", &reason)], &["src/a.rs:1"]);
    let stale = LONG_FILES.iter().filter(|(path, _)| read(path).lines().count() <= MOST_LINES);
    assert_eq!(
        stale.map(|(path, _)| path).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "no longer long: take it off the list"
    );
}

#[test]
fn every_file_is_a_module() {
    let wrong = [
        ("src/lib.rs", "pub mod ops;"),
        ("src/main.rs", ""),
        ("src/ops/mod.rs", "ops! {\n    add::Add,\n}\nmod sound;"),
        ("src/ops/add.rs", ""),
        ("src/ops/sub.rs", ""),
        ("src/ops/sound.rs", "mod b;"),
        ("src/ops/sound/b.rs", ""),
        ("tests/all.rs", "mod ops;"),
        ("tests/cli.rs", ""),
    ];
    holds(declared, &wrong, &["src/ops/sub.rs:1", "tests/cli.rs:1"]);
}

#[test]
fn every_part_is_in_its_list() {
    let wrong = [
        (
            "src/parts/layers/mod.rs",
            "mod a;\nmod b;\npub static LAYERS: &[&dyn Layer] = &[\n    &a::A,\n];\nfn f() { b::c() }",
        ),
        ("src/parts/layers/a.rs", "static SIGNATURE: Signature = Signature { };"),
        ("src/parts/layers/b.rs", "static SIGNATURE: Signature = Signature { };"),
        ("src/parts/layers/shared.rs", ""),
        ("src/data/step/mod.rs", "parts! {\n    STEPS: StepKind =\n        a,\n}"),
        ("src/data/step/a.rs", "static PART: StepKind = StepKind { signature: &Signature { } };"),
        ("src/data/step/b.rs", "static PART: StepKind = StepKind { signature: &Signature { } };"),
        ("src/ops/mod.rs", "ops! {\n    a::A,\n}\nmod b;"),
        ("src/ops/b.rs", "impl Operation for B {}"),
        ("src/passes/mod.rs", "mod a;\npub static PASSES: &[Pass] = &[];"),
        ("src/passes/a.rs", "pub const PASS: Pass = Pass { };"),
        ("src/cli/mod.rs", "mod a;\ncommands! {\n    B(b),\n}"),
        ("src/cli/a.rs", "pub struct Args {}"),
    ];
    let places =
        ["src/parts/layers/b.rs:1", "src/data/step/b.rs:1", "src/ops/b.rs:1", "src/passes/a.rs:1", "src/cli/a.rs:1"];
    holds(listed, &wrong, &places);
}

#[test]
fn every_dependency_is_used() {
    let sample = "[package]\nname = \"a\"\n\n[dependencies]\nb-c = \"1\"\nd = { version = \"1\" }\n\n[dev-dependencies]\ne = \"1\"\nf = \"1\"\n";
    let files = [File::new("src/a.rs", "use b_c::g;"), File::new("tests/b.rs", "d::h(); e::assert!()")];
    let at: Vec<Fault> = unused_crates(&files, sample);
    assert_eq!(at.len(), 2, "{at:?}");
    assert!(at[0].starts_with("Cargo.toml:6: ") && at[1].starts_with("Cargo.toml:10: "), "{at:?}");
    assert_eq!(unused_crates(&tree(), &read("Cargo.toml")), Vec::<Fault>::new());
}

#[test]
fn every_snapshot_has_its_test() {
    let wrong = [
        ("tests/ops.rs", "fn kept() {}\nlet named = \"errors\";"),
        ("tests/snapshots/all__ops__kept.snap", "---\nsource: tests/ops.rs\n---\n"),
        ("tests/snapshots/all__ops__errors.snap", "---\nsource: tests/ops.rs\n---\n"),
        ("tests/snapshots/all__ops__gone.snap", "---\nsource: tests/ops.rs\n---\n"),
        ("tests/snapshots/free.snap", "---\nsource: tests/ops.rs\n---\n"),
        ("tests/snapshots/moved.snap", "---\nsource: tests/gone.rs\n---\n"),
        ("tests/snapshots/all__ops__kept.snap.new", "---\nsource: tests/ops.rs\n---\n"),
    ];
    let places = [
        "tests/snapshots/all__ops__gone.snap:1",
        "tests/snapshots/moved.snap:2",
        "tests/snapshots/all__ops__kept.snap.new:1",
    ];
    holds(snapshots, &wrong, &places);
}

#[test]
fn no_file_knows_a_machine() {
    let folder = |name: &str| format!("/{name}/");
    let text = format!("a\nopen(\"{}b\")\nhttps://c.org{}d", folder("tmp"), folder("home"));
    let wrong = [File::new("specs/a.mtl", &text)];
    assert_eq!(machine_paths(&wrong), ["specs/a.mtl:2: names a folder of one machine"]);
    let files: Vec<File> = tracked()
        .into_iter()
        .filter_map(|path| {
            Some(File { text: std::fs::read_to_string(root().join(&path)).ok()?, path, code: String::new() })
        })
        .collect();
    assert_eq!(machine_paths(&files), Vec::<Fault>::new());
}

#[test]
fn the_top_of_the_repository_is_small() {
    let list = |paths: &[&str]| top(&paths.iter().map(|p| p.to_string()).collect::<Vec<_>>());
    let found = list(&["Cargo.toml", ".ci/run", "src/lib.rs", "notes.txt", "scripts/a.py", "tests/a.rs"]);
    assert_eq!(found.iter().map(|f| f.split(':').next().unwrap()).collect::<Vec<_>>(), ["notes.txt", "scripts/a.py"]);
    assert_eq!(top(&tracked()), Vec::<Fault>::new());
}
