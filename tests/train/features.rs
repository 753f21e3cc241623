//! The feature cache: same results as without, whatever becomes of its files.

mod files;
mod variants;

use super::{file, metric, specs, train, train_with};
use mtlc::base::Source;
use mtlc::data::Batch;
use mtlc::engine::{Engine, Noise, Session, Weights, find};
use mtlc::graph::{Definition, Graph, Leaf, ValueId};
use mtlc::model::Spec;
use mtlc::ops::Op;
use mtlc::plan::Graphs;
use mtlc::train::{Fit, History, Run, Sources, State, Watch, fit};
use mtlc::weights::TensorFile;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Two taps, frozen norms, dropout above them, labels that are missing.
const SPEC: &str = r#"
model cached
input  image: f32[1, 8, 8]
target parity: class["even", "odd"]
target digit: class[10]
backbone trunk(image) {
  edges:  conv(8, 3) -> norm -> relu
  shapes: conv(16, 3, stride: 2) -> norm -> relu
}
freeze trunk
head even(trunk.edges) = conv(8, 3, stride: 2) -> norm -> relu -> global_pool -> linear(2)
head label(trunk) = dropout(0.2) -> flatten -> linear(10)
minimize cross_entropy(even, parity) + cross_entropy(label, digit)
measure accuracy(even, parity), accuracy(label, digit)
data digits = csv("data/digits.csv.gz", split: [0.7, 0.15, 0.15], seed: 7, limit: 110) {
  image = columns(["pixel *"]) -> normalize(mean: 0, std: 16) -> reshape(1, 8, 8)
  digit = column("digit")
  parity = column("digit")
    -> classes(["even", "odd", "even", "odd", "even", "odd", "even", "odd", "even", "odd"]) -> forget(0.3, seed: 1)
}
train { epochs: 4, batch: 20, optimizer: adam(lr: 1e-2), cache: f32 }
"#;

fn project(spec: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    for name in ["digits.csv.gz", "wdbc.csv"] {
        std::fs::copy(specs().join("data").join(name), folder.path().join("data").join(name)).expect("the data");
    }
    std::fs::write(folder.path().join("cached.mtl"), spec).expect("the spec");
    folder
}

const NAME: &str = "cached.mtl";

/// Runs the spec and gives what stdout and stderr said.
fn tell(folder: &Path, more: &[&str]) -> (Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtlc"));
    told(command.current_dir(folder).args(["run", NAME, "--json"]).args(more))
}

fn told(command: &mut Command) -> (Value, String) {
    let output = command.output().expect("the command starts");
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}{talk}", String::from_utf8_lossy(&output.stdout));
    let mut printed: Value = serde_json::from_slice(&output.stdout).expect("the result is JSON");
    (printed["runs"][0].take(), talk)
}

fn cache(folder: &Path) -> PathBuf {
    folder.join("target/mtl/features")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(cache(folder)).into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.sort();
    files
}

fn weights(folder: &Path, run: &Value) -> TensorFile {
    TensorFile::read(&folder.join(run["run"].as_str().expect("a folder")).join("last.safetensors")).expect("whole")
}

/// Fails unless the tensors differ by at most this share of the largest number in each, or of 0.01.
fn assert_near(a: &TensorFile, b: &TensorFile, tolerance: f32) {
    assert_eq!(a.tensors.len(), b.tensors.len());
    for (name, a) in &a.tensors {
        let b = &b.tensors[name];
        let scale = b.data.iter().fold(1e-2f32, |most, x| most.max(x.abs()));
        for (a, b) in a.data.iter().zip(&b.data) {
            assert!((a - b).abs() <= tolerance * scale, "{name}: {a} with a cache and {b} without");
        }
    }
}

fn assert_same(folder: &Path, a: &Value, b: &Value) {
    for name in ["last.safetensors", "weights.safetensors"] {
        assert!(file(folder, a, name) == file(folder, b, name), "{name} differs");
    }
}

/// How far a run with features in f32 may end from one without, as a share of the largest number in a tensor: an evaluation may
/// compute a convolution in another order than a training step.
const TOLERANCE: f32 = 1e-3;

#[test]
fn a_run_ends_alike_with_and_without_features() {
    let folder = project(SPEC);
    for engine in ["planned", "dfdx"] {
        let engine = ["--engine", engine];
        let (cached, talk) = tell(folder.path(), &engine);
        let (whole, silent) = tell(folder.path(), &[&engine[..], &["--set", "train.cache=off"]].concat());
        assert!(
            talk.contains("features of `trunk.edges.2`, `trunk.shapes.2` (768 numbers of 649 rows, 1.99 MB)"),
            "{talk}"
        );
        assert!(!silent.contains("features"), "{silent}");
        assert_near(&weights(folder.path(), &cached), &weights(folder.path(), &whole), TOLERANCE);
        for split in ["train", "validation", "test"] {
            let objective = |run: &Value| run["results"][split]["objective"].as_f64().expect("an objective");
            assert!((objective(&cached) - objective(&whole)).abs() < 1e-3, "{split}");
        }
        let record = &cached["features"][0];
        assert_eq!((&record["rows"], &record["width"], &record["computed"]), (&649.into(), &768.into(), &true.into()));
        assert_eq!(whole["features"], Value::Array(vec![]));
        let kept: Value = serde_json::from_slice(&file(folder.path(), &cached, "run.json")).expect("a record");
        assert_eq!(kept["features"][0]["key"], record["key"]);
        assert!(
            String::from_utf8_lossy(&file(folder.path(), &cached, "report.html")).contains("768 numbers of 649 rows")
        );
    }
    assert_eq!(files(folder.path()).len(), 2, "each engine has features of its own");
}

#[test]
fn what_is_cached_is_told_before_anything_runs() {
    let folder = project(SPEC);
    let build = |cache: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtlc"));
        command.current_dir(folder.path()).args(["build", NAME, "--set", &format!("train.cache={cache}")]);
        String::from_utf8(command.output().expect("the command starts").stdout).expect("text")
    };
    let stored = "features: `trunk.edges.2` f32[8, 8, 8], `trunk.shapes.2` f32[16, 4, 4] in";
    let (f32, bf16) = (build("f32"), build("bf16"));
    assert!(f32.contains(&format!("{stored} f32, 3.07 kB an example in place of 47.6 kFLOP")), "{f32}");
    assert!(bf16.contains(&format!("{stored} bf16, 1.54 kB an example in place of 47.6 kFLOP")), "{bf16}");
    let plan = std::fs::read_to_string(folder.path().join("target/mtl/cached/plan.yaml")).expect("the plan");
    assert!(plan.contains("\nfeatures:\n  values:\n  - of: trunk.edges.2\n"), "{plan}");
    assert!(
        build("auto").contains("features: none are cached, computing what is frozen again costs less than reading")
    );
    assert!(build("off").contains("features: none are cached, `cache: off`"));
}

/// The same for a trunk that was trained, by what is worth it alone.
#[test]
fn a_trained_trunk_is_worth_its_features() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    train(folder.path(), &specs().join("digits.mtl"), &["--set", "train.epochs=2"]);
    let transfer = specs().join("digits_transfer.mtl");
    let cached = train(folder.path(), &transfer, &["--set", "train.epochs=6"]);
    let whole = train(folder.path(), &transfer, &["--set", "train.epochs=6", "--set", "train.cache=off"]);
    assert_eq!(cached["features"][0]["width"], 64, "the pooled vector is stored");
    assert_near(&weights(folder.path(), &cached), &weights(folder.path(), &whole), TOLERANCE);
    assert_eq!(cached["frozen"], whole["frozen"]);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let folder = project(SPEC);
    let runs = [1, 2, 5].map(|threads| {
        std::fs::remove_dir_all(cache(folder.path())).ok();
        train_with(folder.path(), Path::new(NAME), &[], Some(threads))
    });
    runs.iter().for_each(|run| assert_same(folder.path(), run, &runs[0]));
    assert!(runs.iter().all(|run| run["features"][0]["computed"] == true));
}

#[test]
fn a_resumed_run_ends_with_the_same_bits_also_without_its_features() {
    let (whole, parts) = (project(SPEC), project(SPEC));
    let uninterrupted = train(whole.path(), Path::new(NAME), &[]);
    for (stop, resume) in [("1", &[][..]), ("2", &["--resume"]), ("3", &["--resume"])] {
        tell(parts.path(), &[resume, &["--stop-after", stop]].concat());
        if stop == "2" {
            std::fs::remove_dir_all(cache(parts.path())).expect("features");
        }
    }
    let resumed = train(parts.path(), Path::new(NAME), &["--resume"]);
    for name in ["last.safetensors", "weights.safetensors"] {
        assert!(file(whole.path(), &uninterrupted, name) == file(parts.path(), &resumed, name), "{name} differs");
    }
    assert_eq!(uninterrupted["results"], resumed["results"]);
    // Stopped behind its last epoch, before it was evaluated.
    let record = whole.path().join(uninterrupted["run"].as_str().expect("a folder")).join("run.json");
    let text = std::fs::read_to_string(&record).expect("the record");
    std::fs::write(&record, text.replace("\"finished\": true", "\"finished\": false")).expect("the record");
    assert_eq!(train(whole.path(), Path::new(NAME), &["--resume"])["results"], uninterrupted["results"]);
    let how: Vec<&Value> = resumed["features"].as_array().expect("records").iter().map(|f| &f["computed"]).collect();
    assert_eq!(how, [true, false, true, false], "each part found its features or computed them");
}

/// Counts the rows that convolutions of the trunk meet, and the calls that get images.
#[derive(Default)]
struct Counts {
    trunk_rows: AtomicUsize,
    other_calls: AtomicUsize,
    other_images: AtomicUsize,
}

struct Counting(Arc<Counts>);

impl Engine for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn summary(&self) -> &'static str {
        "counts"
    }

    fn session<'g>(&self, graph: &'g Graph) -> Box<dyn Session + 'g> {
        let inner = find("planned").expect("an engine").session(graph);
        let trunk = graph.values.iter().any(|v| {
            matches!(&v.definition, Definition::Leaf(Leaf::Parameter(path)) if path.starts_with("trunk."))
                || matches!(v.definition, Definition::Op { op: Op::ScaleFilters(_), .. })
                    && v.path.starts_with("trunk.")
        });
        Box::new(Counted { inner, counts: self.0.clone(), trunk })
    }
}

struct Counted<'g> {
    inner: Box<dyn Session + 'g>,
    counts: Arc<Counts>,
    trunk: bool,
}

impl Counted<'_> {
    fn count(&self, batch: &Batch) {
        if self.trunk {
            self.counts.trunk_rows.fetch_add(batch.size, Ordering::Relaxed);
        } else {
            self.counts.other_calls.fetch_add(1, Ordering::Relaxed);
            let images = usize::from(batch.values.contains_key("image"));
            self.counts.other_images.fetch_add(images, Ordering::Relaxed);
        }
    }
}

impl Session for Counted<'_> {
    fn forward(&mut self, weights: &Weights, batch: &Batch, wanted: &[ValueId]) {
        self.count(batch);
        self.inner.forward(weights, batch, wanted);
    }

    fn backward(&mut self, weights: &Weights, batch: &Batch, noise: Noise, wanted: &[ValueId], objectives: &[ValueId]) {
        self.count(batch);
        self.inner.backward(weights, batch, noise, wanted, objectives);
    }

    fn result(&self, number: usize) -> &[f32] {
        self.inner.result(number)
    }

    fn gradients(&mut self, visit: &mut mtlc::engine::Visit) {
        self.inner.gradients(visit);
    }
}

struct Silent;

impl Watch for Silent {}

#[test]
fn the_trunk_meets_every_row_once() {
    let spec = Spec::of(Source::new(NAME, SPEC), &specs(), &[]).unwrap_or_else(|_| panic!("the spec is right"));
    let graphs = Graphs::of(&spec.model).expect("the spec is right");
    let sources = Sources::open(&spec.model).expect("the data are right");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let counted = |features: Option<&Path>| {
        let counts = Arc::new(Counts::default());
        let run = Run::create(folder.path(), "cached").expect("a folder for the run");
        let state = State::new(Weights::initial(&graphs.train, 0));
        let engine = Counting(counts.clone());
        let history = History::default();
        let (model, sources, run) = (&spec.model, &sources, &run);
        let task =
            Fit { features, model, engine: &engine, sources, run, state, history, stop_after: None, profile: false };
        fit(task, &mut Silent).expect("it trains");
        let Counts { trunk_rows, other_calls, other_images } = &*counts;
        [trunk_rows, other_calls, other_images].map(|n| n.load(Ordering::Relaxed))
    };
    // Four epochs of 110 training rows, in 6 steps, and of 269 validation rows, in 5.
    let kept = folder.path().join("features");
    assert_eq!(counted(Some(&kept)), [649, 4 * (6 + 5), 0], "every row of every split, once, and no image after it");
    assert_eq!(counted(Some(&kept)), [0, 4 * (6 + 5), 0], "a second run finds them");
    assert_eq!(counted(None), [4 * (110 + 269), 0, 0], "without a cache the trunk runs in every epoch");
}

#[test]
fn a_freeze_that_ends_has_features_of_its_own() {
    let spec = SPEC.replace("freeze trunk\n", "freeze trunk.edges\nfreeze trunk until epoch 2\n");
    let folder = project(&spec);
    let (cached, _) = tell(folder.path(), &[]);
    let (whole, _) = tell(folder.path(), &["--set", "train.cache=off"]);
    let records = cached["features"].as_array().expect("records");
    let told: Vec<(&Value, &Value)> = records.iter().map(|r| (&r["epoch"], &r["width"])).collect();
    assert_eq!(told, [(&1.into(), &768.into()), (&3.into(), &512.into())]);
    assert_near(&weights(folder.path(), &cached), &weights(folder.path(), &whole), TOLERANCE);
    // Of one epoch nothing can be saved, so nothing is cached unless it is demanded.
    let (auto, _) = tell(folder.path(), &["--set", "train.cache=auto", "--set", "train.epochs=1"]);
    assert_eq!(auto["features"], Value::Array(vec![]));
}

/// Two inputs, two sources that each have one target, and labels that are missing.
#[test]
fn several_sources_and_inputs_have_features() {
    let folder = project(
        r#"
model cached
input  size: f32[4]
input  shape: f32[6]
target malignant: class["benign", "malignant"]
target texture: f32[1]
backbone one(size) = linear(32) -> norm -> relu
backbone two(shape) = linear(16) -> relu
freeze one, two
backbone trunk(one, two) = linear(12) -> norm -> relu
head diagnosis(trunk) = linear(2)
head grain(trunk, two) = linear(1)
minimize cross_entropy(diagnosis, malignant) + mse(grain, texture)
measure auroc(diagnosis, malignant), r2(grain, texture)
data first = csv("data/wdbc.csv", split: [0.5, 0.2, 0.3], seed: 3, limit: 100) {
  size = columns(["mean radius", "mean area", "mean perimeter", "mean concavity"]) -> standardize
  shape = columns(["*symmetry*", "*smoothness*"]) -> standardize
  malignant = column("diagnosis") -> forget(0.3, seed: 1)
}
data second = csv("data/wdbc.csv", split: [0.5, 0.2, 0.3], seed: 4) {
  size = columns(["mean radius", "mean area", "mean perimeter", "mean concavity"]) -> standardize
  shape = columns(["*symmetry*", "*smoothness*"]) -> standardize
  texture = column("mean texture") -> standardize
}
train { epochs: 3, batch: 24, cache: f32 }
"#,
    );
    let (cached, talk) = tell(folder.path(), &[]);
    assert!(talk.contains("features of `one.2`, `two.1` (48 numbers"), "{talk}");
    let (whole, _) = tell(folder.path(), &["--set", "train.cache=off"]);
    assert_near(&weights(folder.path(), &cached), &weights(folder.path(), &whole), 1e-4);
    for name in ["auroc(diagnosis)", "r2(grain)"] {
        let (a, b) = (metric(&cached, "test", name), metric(&whole, "test", name));
        assert!((a - b).abs() < 1e-3, "{name}: {a} and {b}");
    }
}

#[test]
fn bf16_moves_a_run_little() {
    let folder = project(SPEC);
    let (exact, _) = tell(folder.path(), &[]);
    let (rounded, talk) = tell(folder.path(), &["--set", "train.cache=bf16"]);
    assert!(talk.contains("(768 numbers in bf16 of 649 rows, 997 kB)"), "{talk}");
    let value = |run: &Value| run["results"]["validation"]["objective"].as_f64().expect("an objective");
    let (a, b) = (value(&exact), value(&rounded));
    assert!(a != b && (a - b).abs() < 0.02 * a, "{a} in f32 and {b} in bf16");
}
