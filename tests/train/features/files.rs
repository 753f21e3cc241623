//! The files of cached features: found by what they follow from, checked, written anew, and kept few.

use super::{NAME, SPEC, assert_same, cache, file, files, project, specs, tell, told};
use mtlc::base::Source;
use mtlc::engine::{Weights, find};
use mtlc::graph::Mode;
use mtlc::lower::lower;
use mtlc::model::Spec;
use mtlc::plan::features::Number;
use mtlc::train::features::{Cache, Contents, FeatureFile, Missing, Writer};
use mtlc::train::{Sources, Watch};
use serde_json::Value;
use std::process::Command;

#[test]
fn files_that_are_of_no_use_are_noticed_and_written_anew() {
    let folder = project(SPEC);
    let (first, _) = tell(folder.path(), &[]);
    let [path] = &files(folder.path())[..] else { panic!("one file") };
    let (path, sound) = (path.clone(), std::fs::read(path).expect("features"));
    tell(folder.path(), &["--set", "train.seed=1", "--set", "train.epochs=2"]);
    let other = files(folder.path()).into_iter().find(|p| *p != path).expect("other weights have other features");
    let mut flipped = sound.clone();
    flipped[sound.len() / 2] ^= 1;
    let mut tail = sound.clone();
    *tail.last_mut().expect("bytes") ^= 0x80;
    let mut version = sound.clone();
    version[8] = 99;
    let damages: [(Vec<u8>, &str); 8] = [
        (flipped, "its checksum is not that of its bytes"),
        (tail, "its checksum is not that of its bytes"),
        (sound[..sound.len() - 1].to_vec(), "it was cut short"),
        (sound[..20].to_vec(), "it was cut short"),
        (vec![], "it was cut short"),
        ([&sound[..], b"x"].concat(), "it is too long"),
        (std::fs::read(other).expect("features"), "it holds the features of something else"),
        (version, "it is of another version of mtlc"),
    ];
    for (bytes, why) in damages {
        std::fs::write(&path, bytes).expect("a file");
        let (run, talk) = tell(folder.path(), &[]);
        assert!(talk.contains(why) && talk.contains("computed in"), "{why}: {talk}");
        assert_same(folder.path(), &run, &first);
        assert!(std::fs::read(&path).expect("features") == sound, "the file is whole again");
    }
    std::fs::write(&path, "x".repeat(200)).expect("a file");
    assert!(tell(folder.path(), &[]).1.contains("it is no file of features"));
    let (run, talk) = tell(folder.path(), &[]);
    assert!(
        talk.contains(&format!("read from {}", path.strip_prefix(folder.path()).expect("below").display())),
        "{talk}"
    );
    assert_same(folder.path(), &run, &first);
    assert_eq!(run["features"][0]["computed"], false);
}

#[test]
fn other_data_weights_and_preparation_have_other_features() {
    let folder = project(SPEC);
    let short = ["--set", "train.epochs=2"];
    let computed = |more: &[&str]| tell(folder.path(), &[&short, more].concat()).0["features"][0]["computed"] == true;
    assert!(computed(&[]));
    assert!(!computed(&[]));
    assert!(!computed(&["--set", "train.batch=40"]), "how it is trained is none of the features' business");
    assert!(computed(&["--set", "train.seed=1"]), "other weights");
    assert!(computed(&["--set", "data.digits.seed=8"]), "other rows");
    assert!(computed(&["--set", "data.digits.limit=50"]), "other rows");
    assert!(computed(&["--set", "train.cache=bf16"]), "other numbers");
    let edit =
        |from: &str, to: &str| std::fs::write(folder.path().join(NAME), SPEC.replacen(from, to, 1)).expect("the spec");
    edit("std: 16", "std: 8");
    assert!(computed(&[]), "another preparation");
    edit("norm -> relu\n}", "norm -> gelu\n}");
    assert!(computed(&[]), "another trunk");
    edit("dropout(0.2) -> flatten", "flatten -> linear(9) -> relu");
    assert!(!computed(&[]), "another head");
    edit("model cached", "model renamed");
    assert!(!computed(&[]), "another name");
}

/// Images that a table names are no part of what the source is known by.
#[test]
fn images_that_have_changed_are_computed_anew() {
    let folder = project(
        r#"
model cached
input  image: f32[1, 4, 4]
target kind: class["a", "b"]
backbone trunk(image) = conv(8, 3) -> relu -> global_pool
freeze trunk
head label(trunk) = linear(2)
minimize cross_entropy(label, kind)
data rows = csv("rows.csv", split: [0.5, 0.5]) { image = column("file") -> read_image -> gray -> resize(4, 4)  kind = column("kind") }
train { epochs: 2, cache: f32 }
"#,
    );
    let image = |i: u8, shade: u8| {
        let pixels: Vec<u8> = (0..16).map(|p| p * 10 + i * 3 + shade).collect();
        std::fs::write(folder.path().join(format!("{i}.pgm")), [b"P5 4 4 255\n", &pixels[..]].concat())
            .expect("an image");
    };
    (0..8).for_each(|i| image(i, 0));
    let rows: String = (0..8).map(|i| format!("{i}.pgm,{}\n", if i % 2 == 0 { "a" } else { "b" })).collect();
    std::fs::write(folder.path().join("rows.csv"), format!("file,kind\n{rows}")).expect("a table");
    let computed = || tell(folder.path(), &[]).0["features"][0]["computed"] == true;
    assert!(computed());
    assert!(!computed());
    std::thread::sleep(std::time::Duration::from_millis(20));
    image(3, 50);
    assert!(computed());
}

#[test]
fn a_disk_that_takes_nothing_ends_no_run() {
    let folder = project(SPEC);
    let (whole, _) = tell(folder.path(), &["--set", "train.cache=off"]);
    std::fs::create_dir_all(folder.path().join("target/mtl")).expect("a folder");
    std::fs::write(cache(folder.path()), "in the way").expect("a file");
    let (run, talk) = tell(folder.path(), &[]);
    assert!(talk.contains("the run goes on without cached features"), "{talk}");
    let bits = |run: &Value| file(folder.path(), run, "weights.safetensors");
    assert!(bits(&run) == bits(&whole), "its bits are those of a run without a cache");
    // Resumed with room, it goes on as it began.
    tell(folder.path(), &["--stop-after", "2"]);
    std::fs::remove_file(cache(folder.path())).expect("out of the way");
    let (run, talk) = tell(folder.path(), &["--resume"]);
    assert!(!talk.contains("features"), "{talk}");
    assert!(bits(&run) == bits(&whole), "the same when it is resumed");
}

/// A disk that is full in the middle: here, no file may have more than 1 MB.
#[cfg(unix)]
#[test]
fn features_that_do_not_fit_leave_nothing_behind() {
    let folder = project(SPEC);
    let command = format!("trap '' XFSZ; ulimit -f 2000; exec {} run {NAME} --json", env!("CARGO_BIN_EXE_mtlc"));
    let (run, talk) = told(Command::new("sh").current_dir(folder.path()).args(["-c", &command]));
    assert!(talk.contains("the run goes on without cached features"), "{talk}");
    assert_eq!((run["finished"].as_bool(), files(folder.path()).len()), (Some(true), 0), "{:?}", files(folder.path()));
}

#[test]
fn few_files_stay() {
    let folder = project(SPEC);
    std::fs::create_dir_all(cache(folder.path())).expect("a folder");
    for i in 0..12u64 {
        let path = cache(folder.path()).join(format!("{i}.features"));
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600 * (i + 1));
        std::fs::write(&path, "old").expect("a file");
        std::fs::File::options().append(true).open(&path).and_then(|f| f.set_modified(old)).expect("a time");
    }
    let (run, _) = tell(folder.path(), &["--set", "train.epochs=2"]);
    let names: Vec<String> =
        files(folder.path()).iter().map(|p| p.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    assert_eq!(names.len(), 8);
    assert!(names.contains(&run["features"][0]["key"].as_str().expect("a key").to_string()));
    assert!((0..7).all(|i| names.contains(&i.to_string())), "those that were used last: {names:?}");
}

fn contents(number: Number, rows: usize, width: usize) -> Contents {
    Contents { key: [7; 32], number, rows, width }
}

#[test]
fn bf16_rounds_to_the_nearest_and_halves_to_even() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("k.features");
    let step = 2f32.powi(-7);
    let mut numbers = vec![1.0 + step / 2.0, 1.0 + 1.5 * step, 1.0 + 0.51 * step, -0.0, 3e38, -1e-30];
    numbers.extend((1..2000).map(|i| (i as f32).sin() * 10f32.powi(i % 9 - 4)));
    numbers.push(0.0);
    let rounded = contents(Number::Bf16, numbers.len() / 2, 2);
    let mut writer = Writer::begin(&path, rounded.clone()).expect("a file");
    numbers.chunks(2).for_each(|row| writer.add(row).expect("room"));
    let file = writer.finish().expect("room");
    assert_eq!(std::fs::metadata(&path).expect("a file").len(), 64 + 2 * numbers.len() as u64 + 32);
    let read = file.read(&(0..rounded.rows).collect::<Vec<_>>()).expect("rows");
    assert_eq!(read[..4], [1.0, 1.0 + 2.0 * step, 1.0 + step, -0.0]);
    let error = |(a, b): (&f32, &f32)| if *b == 0.0 { 0.0 } else { ((a - b) / b).abs() };
    let largest = read.iter().zip(&numbers).map(error).fold(0f32, f32::max);
    assert!(largest <= 2f32.powi(-8) && largest > 2f32.powi(-9), "{largest}");
    // A row by itself, in any order.
    assert_eq!(file.read(&[5, 0]).expect("rows"), [&read[10..12], &read[..2]].concat());
}

/// A file that is cut short under a run gives a diagnostic.
#[test]
fn a_file_that_shrinks_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("k.features");
    let kept = contents(Number::F32, 4, 3);
    assert_eq!(FeatureFile::open(&path, kept.clone()).expect_err("nothing there"), Missing::Absent);
    let mut writer = Writer::begin(&path, kept.clone()).expect("a file");
    (0..4).for_each(|row| writer.add(&[row as f32; 3]).expect("room"));
    let _ = writer.finish().expect("room");
    let file = FeatureFile::open(&path, kept).expect("a whole file");
    assert_eq!(file.read(&[3, 1]).expect("rows"), [3.0, 3.0, 3.0, 1.0, 1.0, 1.0]);
    std::fs::File::options().write(true).open(&path).and_then(|f| f.set_len(80)).expect("shorter");
    let told = file.read(&[3]).expect_err("the row is gone").render(None, false);
    assert!(told.contains("cannot be read any more") && told.contains("k.features"), "{told}");
    assert_eq!(file.read(&[0]).expect("what is there is read"), [0.0; 3]);
}

struct Notes(Vec<String>);

impl Watch for Notes {
    fn note(&mut self, text: &str) {
        self.0.push(text.into());
    }
}

/// Nothing is computed here: 649 rows of 16.8 MB each.
#[test]
fn a_large_file_is_written_only_where_it_is_demanded() {
    let trunk = "upsample(32) -> conv(64, 3) -> conv(64, 3) }\nfreeze trunk\n";
    let text = SPEC.replace("cache: f32", "cache: auto").replace("(trunk.edges)", "(trunk)");
    let start = text.find("  edges:").expect("the trunk");
    let end = text.find("head even").expect("the heads");
    let text = format!("{}  edges: {trunk}{}", &text[..start], &text[end..]).replace("dropout(0.2)", "max_pool(32)");
    let spec = Spec::of(Source::new(NAME, text), &specs(), &[]).unwrap_or_else(|e| panic!("{:?}", e.diagnostics));
    let sources = Sources::open(&spec.model).expect("the data are right");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lowered = lower(&spec.model, Mode::Train, 0).expect("the spec is right");
    let (weights, mut notes) = (Weights::initial(&lowered, 0), Notes(vec![]));
    let mut cache = Cache::new(&spec.model, find("planned").expect("an engine"), &sources, Some(folder.path()));
    assert!(cache.at(0, &lowered, &weights, &mut notes).expect("a decision").is_none());
    let told = "would take 10.9 GB; `cache: f32` or `bf16` caches them all the same";
    assert!(notes.0.len() == 1 && notes.0[0].contains(told), "{:?}", notes.0);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
