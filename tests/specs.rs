//! Every example spec: it reads, it lowers, and each of its stages is what the snapshot says.
//!
//! A new file in `specs/` is covered by being there. `MTLC_BLESS=1 cargo test specs` lays specs out canonically and refreshes
//! the reference.

use insta::{Settings, assert_snapshot};
use mtlc::base::Source;
use mtlc::data::{Array, Dataset, SOURCES, Split};
use mtlc::graph::{Mode, print as print_graph};
use mtlc::lower::lower;
use mtlc::model::{Spec, print as print_model, reference};
use mtlc::plan::{Graphs, Plan};
use mtlc::syntax::format::format;
use mtlc::syntax::parse;
use mtlc::syntax::print::print as print_tree;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The folder of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The specs of a folder, by name.
pub fn specs_in(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).expect("the folder of specs is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder that can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "mtl"));
    paths.sort();
    assert!(!paths.is_empty(), "no spec in {folder}");
    paths
}

/// The name of a spec: its file without `.mtl`.
pub fn stem(path: &Path) -> String {
    path.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

/// Whether files that a test finds stale are to be written anew.
pub fn bless() -> bool {
    std::env::var_os("MTLC_BLESS").is_some()
}

/// A spec of the repository, under its bare file name; a failure shows what is wrong with it.
fn read(path: &Path) -> Spec {
    let text = std::fs::read_to_string(path).expect("a spec that can be read");
    let source = Source::new(path.file_name().expect("a file has a name").to_string_lossy(), text);
    let folder = path.parent().expect("a spec lies in a folder");
    Spec::of(source, folder, &[])
        .unwrap_or_else(|failure| panic!("{}", failure.diagnostics.render(failure.source.as_ref(), false)))
}

#[test]
fn every_stage_of_every_spec() {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("snapshots/specs");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for path in specs_in("specs") {
            let (spec, name) = (read(&path), stem(&path));
            assert!(spec.warnings.0.is_empty(), "{}", spec.warnings.render(Some(&spec.source), false));
            let shown = |result: mtlc::base::Result<_>| -> mtlc::graph::Graph {
                result.unwrap_or_else(|wrong| panic!("{}", wrong.render(Some(&spec.source), false)))
            };
            let train = shown(lower(&spec.model, Mode::Train, 0));
            let eval = shown(lower(&spec.model, Mode::Eval, 0));
            let graphs = Graphs::of(&spec.model).expect("lowered above");
            assert_snapshot!(format!("{name}__ast"), print_tree(&spec.file));
            assert_snapshot!(format!("{name}__model"), print_model(&spec.model));
            assert_snapshot!(format!("{name}__graph"), print_graph(&train) + "\n" + &print_graph(&eval));
            assert_snapshot!(format!("{name}__plan"), Plan::of(&spec.model, &graphs, "").to_yaml());
        }
    });
}

#[test]
fn every_spec_is_named_as_its_model_short_and_laid_out() {
    let mut stale = vec![];
    for path in specs_in("specs") {
        let spec = read(&path);
        assert_eq!(spec.model.name, stem(&path), "a spec is named as its model");
        let lines = spec.source.text.lines().count();
        assert!(lines <= 60, "{} has {lines} lines; an example has at most 60", path.display());
        assert!(spec.source.text.starts_with("# "), "{} says first what it shows", path.display());
        let laid_out = format(&spec.source, &spec.file);
        if laid_out != spec.source.text && bless() {
            std::fs::write(&path, laid_out).expect("a spec that can be written");
        } else if laid_out != spec.source.text {
            stale.push(stem(&path));
        }
    }
    assert!(stale.is_empty(), "{stale:?} differ from their canonical layout; run `MTLC_BLESS=1 cargo test specs`");
}

/// The specs whose data lies in the repository prepare it as they declare it.
#[test]
fn data_of_the_repository_opens() {
    let mut opened = BTreeSet::new();
    for path in specs_in("specs") {
        let spec = read(&path);
        for data in &spec.model.data {
            let file = data.source.args.get("path").and_then(|p| p.value.as_text());
            let is_made = SOURCES.iter().any(|s| s.signature.name == data.source.signature.name && s.paths.is_empty());
            if !is_made && !file.is_some_and(|p| data.root.join(p).exists()) {
                continue;
            }
            let dataset =
                Dataset::open(data).unwrap_or_else(|wrong| panic!("{}", wrong.render(Some(&spec.source), false)));
            let rows = [Split::Train, Split::Validation, Split::Test].map(|split| dataset.rows(split).to_vec());
            assert!(
                rows.iter().all(|rows| rows.len() >= 10),
                "{} has splits of {:?}",
                data.name,
                rows.map(|r| r.len())
            );
            let batch = dataset.batch(&rows[0][..5]).expect("rows of the data");
            for port in spec.model.inputs.iter().chain(&spec.model.targets) {
                let dims = match &batch.values[&port.name] {
                    Array::F32 { dims, .. } | Array::I64 { dims, .. } => dims,
                };
                assert_eq!(*dims, port.ty.ty.at(5), "{} of {}", port.name, spec.model.name);
            }
            opened.insert(stem(&path));
        }
    }
    let expected =
        ["agreement", "digits", "digits_transfer", "encoder", "flare", "gradual", "missing", "mlp", "tumour"];
    assert!(expected.iter().all(|name| opened.contains(*name)), "only {opened:?} opened");
}

/// A model that reads `run(x)` would fail on its first use if no spec of that name were there.
#[test]
fn runs_that_specs_start_from_are_runs_of_specs() {
    let names: BTreeSet<String> = specs_in("specs").iter().map(|path| stem(path)).collect();
    for path in specs_in("specs") {
        for weights in read(&path).model.networks.into_iter().filter_map(|network| network.weights) {
            if let mtlc::model::WeightsFrom::Run { model, .. } = weights.from {
                assert!(names.contains(&model), "{} starts from {model}, which is no spec", path.display());
            }
        }
    }
}

/// Snapshots of a folder belong to specs of another: a renamed spec leaves none behind.
#[test]
fn no_snapshot_is_left_over() {
    let stages = ["ast", "model", "graph", "plan"];
    let specs = specs_in("specs");
    let of_specs = specs.iter().flat_map(|path| stages.map(|stage| format!("{}__{stage}.snap", stem(path)))).collect();
    let of_wrong = specs_in("specs/wrong").iter().map(|path| format!("{}.snap", stem(path))).collect();
    for (folder, wanted) in [("tests/snapshots/specs", of_specs), ("tests/snapshots/wrong", of_wrong)] {
        let entries = std::fs::read_dir(root().join(folder)).expect("the folder of snapshots is there");
        let names = entries.map(|entry| entry.expect("can be listed").file_name().to_string_lossy().into_owned());
        let found: BTreeSet<String> = names.filter(|name| name.ends_with(".snap")).collect();
        let wanted: BTreeSet<String> = wanted;
        let left_over: Vec<&String> = found.difference(&wanted).collect();
        assert!(left_over.is_empty(), "no spec has the snapshots {left_over:?} in {folder}; remove them");
    }
}

const README: &str = "specs/README.md";
const MARKS: [&str; 2] = ["<!-- parts -->\n", "<!-- /parts -->"];

fn readme() -> String {
    std::fs::read_to_string(root().join(README)).expect("the reference is there")
}

#[test]
fn the_reference_has_the_tables_of_the_code() {
    let text = readme();
    let [start, end] = MARKS.map(|mark| text.find(mark).unwrap_or_else(|| panic!("{README} has no {mark}")));
    let (before, after) = (&text[..start + MARKS[0].len()], &text[end..]);
    let fresh = format!("{before}{}\n{after}", reference());
    if fresh != text && bless() {
        std::fs::write(root().join(README), &fresh).expect("the reference can be written");
    } else {
        assert!(fresh == text, "the tables of {README} are stale; run `MTLC_BLESS=1 cargo test reference`");
    }
}

#[test]
fn the_reference_names_every_example() {
    let text = readme();
    for path in specs_in("specs") {
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        assert!(text.contains(&format!("[`{name}`]({name})")), "{README} says nothing about {name}");
    }
}

/// The specs that `mtlc compare` holds against each other lower, and are laid out.
#[test]
fn the_specs_of_the_quiz_are_right() {
    let specs = specs_in("specs/quiz");
    assert!(specs.len() >= 7, "{specs:?}");
    for path in specs {
        let spec = Spec::read(&path, &[]);
        let spec = spec.unwrap_or_else(|e| panic!("{}", e.diagnostics.render(e.source.as_ref(), false)));
        let shown = |wrong: mtlc::base::Diagnostics| wrong.render(Some(&spec.source), false);
        Graphs::of(&spec.model).unwrap_or_else(|wrong| panic!("{}", shown(wrong)));
        assert_eq!(format(&spec.source, &spec.file), spec.source.text, "{} is not laid out", path.display());
    }
}

/// What the reference and the tutorials show as a spec is one, as far as it goes; what starts with `model` also lowers.
#[test]
fn examples_in_the_documents_are_right() {
    let tutorials = std::fs::read_to_string(root().join("specs/TUTORIALS.md")).expect("the tutorials are there");
    let text = readme() + &tutorials;
    let blocks: Vec<&str> = text.split("```mtl\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 6, "only {} examples", blocks.len());
    for block in blocks {
        let source = Source::new("document.md", block);
        let shown = |wrong: &mtlc::base::Diagnostics| wrong.render(Some(&source), false);
        let file = parse(&source).unwrap_or_else(|wrong| panic!("{}", shown(&wrong)));
        assert_eq!(format(&source, &file), block, "an example that is not laid out");
        if block.starts_with("model") {
            let spec = Spec::of(source.clone(), &root().join("specs"), &[]);
            let spec = spec.unwrap_or_else(|failure| panic!("{}", shown(&failure.diagnostics)));
            lower(&spec.model, Mode::Train, 0).unwrap_or_else(|wrong| panic!("{}", shown(&wrong)));
        }
    }
}
