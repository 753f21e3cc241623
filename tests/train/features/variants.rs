//! Features of several variants of each training row: the values that the same epochs would draw, kept and read in turn.

use super::{
    Counting, Counts, NAME, SPEC, Silent, TOLERANCE, assert_near, assert_same, cache, file, files, project, specs,
    tell, train, train_with, weights,
};
use mtlc::base::Source;
use mtlc::data::{Array, Moment, Split};
use mtlc::engine::{Weights, find};
use mtlc::graph::{Mode, ValueId};
use mtlc::lower::lower;
use mtlc::model::Spec;
use mtlc::passes;
use mtlc::train::features::{Cache, Loader};
use mtlc::train::{Sources, Watch, final_evaluations};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The images are drawn anew in each epoch.
fn drawn() -> String {
    SPEC.replace("reshape(1, 8, 8)", "reshape(1, 8, 8) -> crop(8, padding: 1) -> flip")
}

const TWO: [&str; 2] = ["--set", "train.variants=2"];

fn objectives(run: &Value) -> Vec<f64> {
    ["train", "validation", "test"].map(|split| run["results"][split]["objective"].as_f64().expect("a number")).into()
}

#[test]
fn as_many_variants_as_epochs_are_no_other_training() {
    let folder = project(&drawn());
    let (whole, _) = tell(folder.path(), &["--set", "train.cache=off"]);
    for engine in ["planned", "dfdx"] {
        for variants in ["train.variants=4", "train.variants=6"] {
            let (cached, _) = tell(folder.path(), &["--engine", engine, "--set", variants]);
            assert_near(&weights(folder.path(), &cached), &weights(folder.path(), &whole), TOLERANCE);
            for (a, b) in objectives(&cached).iter().zip(objectives(&whole)) {
                assert!((a - b).abs() < 1e-3, "{a} with a cache and {b} without");
            }
        }
    }
    let (two, talk) = tell(folder.path(), &TWO);
    assert!(
        talk.contains("(768 numbers of 869 rows, 2 of each training row drawn at random, 2.67 MB) computed"),
        "{talk}"
    );
    let (a, b) = (weights(folder.path(), &two), weights(folder.path(), &whole));
    let far = |(name, a): (&String, &mtlc::weights::Array)| {
        a.data.iter().zip(&b.tensors[name].data).any(|(a, b)| (a - b).abs() > 0.01)
    };
    assert!(a.tensors.iter().any(far), "the third epoch draws nothing new");
    let record = &two["features"][0];
    assert_eq!((&record["rows"], &record["variants"]), (&869.into(), &2.into()));
    // The run that is like it reads the file, and one with other variants does not.
    let (again, _) = tell(folder.path(), &TWO);
    assert_eq!(again["features"][0]["computed"], false);
    assert_same(folder.path(), &again, &two);
    assert_eq!(tell(folder.path(), &["--set", "train.variants=3"]).0["features"][0]["computed"], true);
}

/// Two inputs and a target that are drawn alike; one input is cached, the others are loaded beside it.
#[test]
fn what_is_loaded_beside_a_variant_is_drawn_with_it() {
    let pixels: Vec<String> = (0..64).map(|i| format!("\"pixel {i}\"")).collect();
    let chain = format!(
        "columns([{}]) -> normalize(mean: 0, std: 16) -> reshape(1, 8, 8) -> flip -> crop(6)",
        pixels.join(", ")
    );
    let text = format!(
        "model cached\ninput image: f32[1, 6, 6]\ninput beside: f32[1, 6, 6]\ntarget again: f32[1, 6, 6]\n\
         backbone trunk(image) = conv(4, 3) -> relu\nfreeze trunk\nhead copy(trunk, beside) = conv(1, 3)\n\
         minimize mse(copy, again)\n\
         data digits = csv(\"data/digits.csv.gz\", split: [0.5, 0.5], limit: 20) {{\n\
         image = {chain}\nbeside = {chain}\nagain = {chain}\n}}\n\
         train {{ epochs: 5, cache: f32, variants: 2 }}\n"
    );
    let spec = Spec::of(Source::new(NAME, text), &specs(), &[])
        .unwrap_or_else(|e| panic!("{}", e.diagnostics.render(e.source.as_ref(), false)));
    let sources = Sources::open(&spec.model).expect("the data are right");
    let lowered = lower(&spec.model, Mode::Train, 0).expect("the spec is right");
    let (weights, engine) = (Weights::initial(&lowered, 0), find("planned").expect("an engine"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut cache = Cache::new(&spec.model, engine, &sources, Some(folder.path()));
    let features = cache.at(0, &lowered, &weights, &mut Silent).expect("room").expect("features");
    let loader = Loader { sources: &sources, features: Some(features) };
    let mut rows = sources.rows(Split::Train);
    rows.reverse();
    let cut = &features.cut;
    let wanted: Vec<ValueId> = cut.features.outputs.iter().map(|o| o.value).collect();
    let stored = &cut.values[0].name;
    let mut seen = vec![];
    for (moment, drawn) in
        [(Some(0), Some(0)), (Some(1), Some(1)), (Some(2), Some(0)), (Some(3), Some(1)), (None, None)]
    {
        let at = |epoch: Option<u64>| epoch.map(|epoch| Moment { seed: 0, epoch });
        let (given, _) = loader.batch(&cut.train, &rows, at(moment)).expect("rows");
        let (whole, _) = sources.batch_of(&rows, &|_| true, at(drawn)).expect("rows");
        for name in ["beside", "again"] {
            assert_eq!(given.values[name], whole.values[name], "{name} at {moment:?}");
        }
        let mut session = engine.session(&cut.features);
        session.forward(&weights, &whole, &wanted);
        let Array::F32 { data, .. } = &given.values[stored] else { panic!("numbers") };
        let difference = data.iter().zip(session.result(0)).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(difference < 1e-5, "{moment:?}: {difference}");
        assert!(!given.values.contains_key("image"));
        seen.push(data.clone());
    }
    assert!(seen[0] != seen[1] && seen[0] != seen[4] && seen[1] != seen[4], "variants differ");
}

#[test]
fn the_trunk_meets_every_variant_once() {
    let text = drawn().replace("cache: f32", "cache: f32, variants: 2");
    let spec = Spec::of(Source::new(NAME, text), &specs(), &[]).unwrap_or_else(|_| panic!("the spec is right"));
    let model = &spec.model;
    let lowered = lower(model, Mode::Train, 0).expect("the spec is right");
    let eval = passes::optimise(lower(model, Mode::Eval, 0).expect("the spec is right")).0;
    let sources = Sources::open(model).expect("the data are right");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (weights, counts) = (Weights::initial(&lowered, 0), Arc::new(Counts::default()));
    let engine = Counting(counts.clone());
    let mut cache = Cache::new(model, &engine, &sources, Some(folder.path()));
    let features = cache.at(0, &lowered, &weights, &mut Silent).expect("room");
    assert_eq!(counts.trunk_rows.load(Ordering::Relaxed), 649 + 2 * 110);
    // Training rows are measured as they are, from the file.
    let measured = |features| {
        let loader = Loader { sources: &sources, features };
        let finals = final_evaluations(model, &eval, &engine, &weights, loader).expect("an evaluation");
        finals.into_iter().map(|(_, evaluation)| evaluation.objective).collect::<Vec<f64>>()
    };
    let read = measured(features);
    assert_eq!(counts.trunk_rows.load(Ordering::Relaxed), 649 + 2 * 110);
    let whole = measured(None);
    assert_eq!(counts.trunk_rows.load(Ordering::Relaxed), 649 + 2 * 110 + 649);
    for (a, b) in read.iter().zip(&whole) {
        assert!((a - b).abs() < 1e-4, "{a} from features and {b} from inputs");
    }
}

#[test]
fn any_number_of_threads_draws_the_same_bits() {
    let folder = project(&drawn());
    let runs = [1, 2, 5].map(|threads| {
        std::fs::remove_dir_all(cache(folder.path())).ok();
        train_with(folder.path(), Path::new(NAME), &TWO, Some(threads))
    });
    runs.iter().for_each(|run| assert_same(folder.path(), run, &runs[0]));
    assert!(runs.iter().all(|run| run["features"][0]["computed"] == true));
}

#[test]
fn a_resumed_run_goes_on_with_the_variants_in_turn() {
    let text = drawn().replace("cache: f32", "cache: f32, variants: 2");
    let (whole, parts) = (project(&text), project(&text));
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
}

/// The trunk is the same whatever the seed is, and what is drawn is not.
#[test]
fn another_seed_has_other_variants() {
    let folder = project(&drawn().replace("model cached", "model base").replace("freeze trunk\n", ""));
    tell(folder.path(), &["--set", "train.epochs=1", "--set", "train.cache=off"]);
    let text = drawn().replace("trunk(image)", "trunk(image, weights: run(base))");
    std::fs::write(folder.path().join(NAME), text).expect("the spec");
    let computed = |seed: &str| {
        let (run, _) = tell(folder.path(), &[&TWO[..], &["--set", "train.epochs=2", "--set", seed]].concat());
        run["features"][0]["computed"] == true
    };
    assert!(computed("train.seed=1"));
    assert!(!computed("train.seed=1"));
    assert!(computed("train.seed=2"));
    assert_eq!(files(folder.path()).len(), 2);
}

/// What `mtlc build` says, whether it is content or not.
fn said(text: &str, settings: &[&str]) -> String {
    let folder = project(text);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtlc"));
    command.current_dir(folder.path()).args(["build", NAME]);
    command.args(settings.iter().flat_map(|set| ["--set".to_string(), format!("train.{set}")]));
    let output = command.output().expect("the command starts");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn chance_is_known_before_anything_runs() {
    let drawn = drawn();
    let cases: [(&str, &[&str], &str); 9] = [
        (&drawn, &["variants=2"], "in place of 47.6 kFLOP, in 2 variants of each training row"),
        (&drawn, &[], "`image` is prepared at random, below what is frozen"),
        (&drawn, &[], "help: `variants: 4` draws 4 variants of each training row and caches those"),
        (SPEC, &["variants=2"], "there are no variants: no input is prepared at random in training rows"),
        (
            &drawn.replace("-> flip", "-> flip(on: [test])").replace("padding: 1", "on: [test]"),
            &["variants=2"],
            "no input is prepared",
        ),
        (&drawn, &["variants=2", "cache=off"], "variants are kept in the cache, and `cache: off` keeps nothing"),
        (&drawn, &["variants=2", "mixup=0.2"], "no variants can be cached: mixup blends `image`"),
        (
            &drawn.replace("freeze trunk\n", ""),
            &["variants=2", "cache=auto"],
            "no variants can be cached: no layer is frozen",
        ),
        (&drawn, &["variants=0"], "`variants` of `train` is an integer of at least 1"),
    ];
    for (text, settings, told) in cases {
        let said = said(text, settings);
        assert!(said.contains(told), "{settings:?}: {said}");
    }
}

/// Where nobody demands them, variants are cached where enough epochs are left to read them.
#[test]
fn unasked_variants_pay_where_epochs_read_them() {
    let deep = "conv(64, 3) -> relu -> conv(64, 3) -> relu -> global_pool\n}\nfreeze";
    let start = |text: &str| (text.find("edges:").expect("the trunk"), text.find("freeze").expect("a freeze"));
    let text = drawn();
    let (from, to) = start(&text);
    let text = format!("{}edges: {deep}{}", &text[..from], &text[to + "freeze".len()..])
        .replace("(trunk.edges) = conv(8, 3, stride: 2) -> norm -> relu -> global_pool ->", "(trunk) =")
        .replace("cache: f32", "cache: auto");
    let off = said(&text, &[]);
    assert!(
        off.contains("none are cached, `image` is prepared at random, below what is frozen; `variants: 4` caches"),
        "{off}"
    );
    let on = said(&text, &["variants=2"]);
    assert!(on.contains("features: `trunk.edges.4` f32[64]") && on.contains("in 2 variants"), "{on}");
    for variants in ["variants=4", "variants=9"] {
        let off = said(&text, &[variants]);
        assert!(off.contains("variants save nothing where what is frozen is so for 4 epochs"), "{off}");
    }
}

struct Notes(Vec<String>);

impl Watch for Notes {
    fn note(&mut self, text: &str) {
        self.0.push(text.into());
    }
}

/// Nothing is computed here: 7.5 MB of each of 649 rows are few enough, and with five variants of 110 more they are not.
#[test]
fn variants_count_in_the_size_of_the_file() {
    let (text, trunk) =
        (drawn().replace("cache: f32", "cache: auto, variants: 5"), "upsample(32) -> conv(28, 3) -> conv(28, 9)");
    let start = text.find("  edges:").expect("the trunk");
    let end = text.find("head even").expect("the heads");
    let text = format!("{}  edges: {trunk} }}\nfreeze trunk\n{}", &text[..start], &text[end..])
        .replace("(trunk.edges)", "(trunk)")
        .replace("dropout(0.2)", "max_pool(32)")
        .replace("epochs: 4", "epochs: 50");
    let spec = Spec::of(Source::new(NAME, text), &specs(), &[]).unwrap_or_else(|e| panic!("{:?}", e.diagnostics));
    let sources = Sources::open(&spec.model).expect("the data are right");
    let lowered = lower(&spec.model, Mode::Train, 0).expect("the spec is right");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (weights, mut notes) = (Weights::initial(&lowered, 0), Notes(vec![]));
    let mut cache = Cache::new(&spec.model, find("planned").expect("an engine"), &sources, Some(folder.path()));
    assert!(cache.at(0, &lowered, &weights, &mut notes).expect("a decision").is_none());
    // 1199 rows of 28 maps of 256 by 256, and of what the second head makes of them.
    assert!(notes.0.len() == 1 && notes.0[0].contains("would take 8.81 GB"), "{:?}", notes.0);
}
