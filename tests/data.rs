//! Data: values against numbers worked out by hand, splits, missing labels. Later runs are in `data/later.rs`, wrong files in
//! `data/faults.rs`, damaged ones in `data/fuzz.rs`.

mod augmentation;
mod dense;
mod drawn;
mod faults;
pub mod files;
mod fuzz;
mod later;
mod spec;
mod text;

use files::{gzip, idx, npy, npz, png};
use mtlc::data::{Array, Batch, Dataset, Split};
use std::collections::BTreeSet;
use std::path::Path;
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
    folder
}

fn open(root: &Path, text: &str) -> Dataset {
    let (spec, source) = spec::spec(text, root);
    Dataset::open(&spec).unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(Some(&source), false)))
}

fn all(data: &Dataset, split: Split) -> Batch {
    data.batch(data.rows(split)).unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(None, false)))
}

fn f32s(batch: &Batch, name: &str) -> Vec<f32> {
    let Array::F32 { dims, data } = &batch.values[name] else { panic!("{name} is no f32") };
    assert_eq!((dims[0], dims.iter().product::<usize>()), (batch.size, data.len()));
    data.clone()
}

fn i64s(batch: &Batch, name: &str) -> Vec<i64> {
    let Array::I64 { dims, data } = &batch.values[name] else { panic!("{name} is no i64") };
    assert_eq!((dims[0], dims.iter().product::<usize>()), (batch.size, data.len()));
    data.clone()
}

fn close(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{got:?}");
    assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0)), "{got:?} is not {want:?}");
}

const FOLDS: &[u8] = b"x,y,fold,kind\n1,10,train,a\n3,,train,b\n5,30,train,a\n100,40,validation,c\n,50,test,\n";

/// Statistics are those of the three training rows: mean 3, deviation √(8/3); with the validation row they would be others.
#[test]
fn standardize_learns_from_training_rows_only() {
    let dir = folder(&[("a.csv", FOLDS)]);
    let data = open(
        dir.path(),
        r#"csv("a.csv", split: "fold") { in x: f32[1] = column("x") -> fill(mean) -> standardize; y: f32[1] = column("y") -> standardize }"#,
    );
    let std = (8.0f32 / 3.0).sqrt();
    let train = all(&data, Split::Train);
    close(&f32s(&train, "x"), &[-2.0 / std, 0.0, 2.0 / std]);
    close(&f32s(&all(&data, Split::Validation), "x"), &[97.0 / std]);
    close(&f32s(&all(&data, Split::Test), "x"), &[0.0]);
    // The label of row 1 is missing: the others have mean 20 and deviation 10, and a missing one is 0.
    assert_eq!(f32s(&train, "y"), [-1.0, 0.0, 1.0]);
    assert_eq!(train.present["y"], [1.0, 0.0, 1.0]);
    assert!(!train.present.contains_key("x"));
    assert_eq!([data.missing("y", Split::Train), data.missing("y", Split::Test)], [1, 0]);
    let mut predictions = [1.0, 0.0, -3.0];
    data.invert("y", &mut predictions);
    assert_eq!(predictions, [30.0, 20.0, -10.0]);
}

/// A constant feature is divided by 1, and steps are undone from the last to the first.
#[test]
fn numbers_are_prepared_and_restored() {
    let dir = folder(&[("a.csv", b"a,b,y\n7,1,0\n7,5,19\n")]);
    let data = open(
        dir.path(),
        r#"csv("a.csv", split: [1.0]) { in x: f32[2] = columns(all) -> standardize
           y: f32[1] = column("y") -> log1p -> normalize(mean: 1, std: 2)
           in z: f32[3] = columns(["y", "a", "*"]) -> normalize(mean: [1, 2, 3], std: [1, 2, 4]) }"#,
    );
    let batch = all(&data, Split::Train);
    assert_eq!(f32s(&batch, "x"), [0.0, -1.0, 0.0, 1.0]);
    close(&f32s(&batch, "y"), &[-0.5, (20f32.ln() - 1.0) / 2.0]);
    close(&f32s(&batch, "z"), &[-1.0, 2.5, -0.5, 18.0, 2.5, 0.5]);
    let mut y = f32s(&batch, "y");
    data.invert("y", &mut y);
    close(&y, &[0.0, 19.0]);
    let mut z = f32s(&batch, "z");
    data.invert("z", &mut z);
    close(&z, &[0.0, 7.0, 1.0, 19.0, 7.0, 5.0]);
}

/// `all` passes over the columns of targets and of the split; naming a column takes it anyway.
#[test]
fn globs_select_columns() {
    let dir = folder(&[("a.csv", b"a one,a two,b,t,fold\n1,2,3,4,train\n")]);
    let x = |columns: &str, n: usize| {
        let text = format!(r#"csv("a.csv", split: "fold") {{ in x: f32[{n}] = {columns}; t: f32[1] = column("t") }}"#);
        f32s(&all(&open(dir.path(), &text), Split::Train), "x")
    };
    assert_eq!(x("columns(all)", 3), [1.0, 2.0, 3.0]);
    assert_eq!(x(r#"columns(all, except: ["a *"])"#, 1), [3.0]);
    assert_eq!(x(r#"columns(["b", "*two", "a*"])"#, 3), [3.0, 2.0, 1.0]);
    assert_eq!(x(r#"columns(["t", "b"])"#, 2), [4.0, 3.0]);
}

#[test]
fn classes_by_name_and_by_number() {
    let dir = folder(&[("a.csv", b"x,y\n0,dog\n0,cat\n0,1\n0,\n0,0.0\n")]);
    let text = r#"csv("a.csv", split: [1.0]) { in x: f32 = column("x"); y: class["cat", "dog"] = column("y") }"#;
    let data = open(dir.path(), text);
    let batch = all(&data, Split::Train);
    assert_eq!(i64s(&batch, "y"), [1, 0, 1, -1, 0]);
    assert_eq!(batch.present["y"], [1.0, 1.0, 1.0, 0.0, 1.0]);
    assert_eq!(batch.values["x"].dims(), [5]);
    assert_eq!(data.class_names("y").expect("names"), ["cat", "dog"]);
}

/// The rows of the files for testing are the test split, whatever the shares of the others.
#[test]
fn idx_files_for_testing() {
    let dir = folder(&[
        ("i", &idx(8, &[5, 1, 2], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])),
        ("l", &idx(8, &[5], &[0, 1, 0, 1, 0])),
        ("ti.gz", &gzip(&idx(8, &[2, 1, 2], &[50, 51, 52, 53]))),
        ("tl", &idx(8, &[2], &[1, 0])),
    ]);
    let data = open(
        dir.path(),
        r#"idx("i", "l", test_images: "ti.gz", test_labels: "tl", split: [0.6, 0.4]) {
           in x: f32[1, 1, 2] = images; y: class[2] = labels }"#,
    );
    let test = all(&data, Split::Test);
    assert_eq!((f32s(&test, "x"), i64s(&test, "y")), (vec![50.0, 51.0, 52.0, 53.0], vec![1, 0]));
    let rows: BTreeSet<usize> = [Split::Train, Split::Validation].iter().flat_map(|s| data.rows(*s)).copied().collect();
    assert_eq!((data.rows(Split::Train).len(), rows), (3, (0..5).collect()));
}

#[test]
fn text_becomes_tokens_and_vectors() {
    let dir = folder(&[("a.csv", FOLDS)]);
    let data = open(
        dir.path(),
        r#"csv("a.csv", split: "fold", delimiter: ",") {
           in k: tokens[2] < 5 = columns(["kind", "fold"]) -> fill("none") -> categories
           in b: tokens[3] < 257 = column("fold") -> bytes(3)
           in h: f32[2] = column("fold") -> one_hot(["validation", "train", "test"]) -> reshape(3) -> standardize
           y: f32[1] = column("y") }"#
            .replace("f32[2] = column(\"fold\")", "f32[3] = column(\"fold\")")
            .as_str(),
    );
    // Training knows kind a → 1, kind b → 2, fold train → 3.
    assert_eq!(i64s(&all(&data, Split::Train), "k"), [1, 3, 2, 3, 1, 3]);
    assert_eq!(i64s(&all(&data, Split::Test), "k"), [0, 0]);
    assert_eq!(i64s(&all(&data, Split::Test), "b"), [117, 102, 116]);
    assert_eq!(f32s(&all(&data, Split::Train), "h")[..3], [0.0, 0.0, 0.0]);
    assert_eq!(f32s(&all(&data, Split::Validation), "h"), [1.0, -1.0, 0.0]);
}

/// Quotes, blanks, blank lines, a byte order mark and Windows line ends.
#[test]
fn csv_dialects() {
    let text = b"\xef\xbb\xbf\"a;b\" ; y\r\n\r\n 1;\"2\"\r\n3 ; 4\r\n";
    let dir = folder(&[("a.csv", text), ("b.csv.gz", &gzip(b"a\tb\n1\t2\n"))]);
    let data = open(
        dir.path(),
        r#"csv("a.csv", split: [1], delimiter: ";") { in x: f32[1] = column("a;b"); y: f32[1] = column("y") }"#,
    );
    let batch = all(&data, Split::Train);
    assert_eq!((f32s(&batch, "x"), f32s(&batch, "y")), (vec![1.0, 3.0], vec![2.0, 4.0]));
    let data = open(dir.path(), r#"csv("b.csv.gz", split: [1], delimiter: "\t") { in x: f32[2] = columns(all) }"#);
    assert_eq!(f32s(&all(&data, Split::Train), "x"), [1.0, 2.0]);
}

#[test]
fn jsonl_numbers_strings_nulls_and_arrays() {
    let text = br#"{"x": [1, 2.5], "c": "b", "m": [[0, 1], [null, 1]], "f": true}

{"x": [3, -4], "m": [[1, 1], [1, 1]], "c": null}
{"x": [0, 0], "c": 0}
"#;
    let dir = folder(&[("a.jsonl", text)]);
    let data = open(
        dir.path(),
        r#"jsonl("a.jsonl", split: [1.0]) { in x: f32[2] = column("x"); c: class["a", "b"] = column("c")
           m: class[2][2, 2] = column("m") -> reshape(2, 2); f: f32[1] = column("f") }"#,
    );
    let batch = all(&data, Split::Train);
    assert_eq!(f32s(&batch, "x"), [1.0, 2.5, 3.0, -4.0, 0.0, 0.0]);
    assert_eq!((i64s(&batch, "c"), &batch.present["c"][..]), (vec![1, -1, 0], &[1.0, 0.0, 1.0][..]));
    assert_eq!(i64s(&batch, "m"), [0, 1, -1, 1, 1, 1, 1, 1, -1, -1, -1, -1]);
    assert_eq!(batch.present["m"], [1.0, 1.0, 0.0]);
    assert_eq!(batch.present["f"], [1.0, 0.0, 0.0]);
}

#[test]
fn npz_arrays_of_every_kind() {
    let floats: Vec<u8> = [1.0f64, f64::NAN, 3.0].iter().flat_map(|x| x.to_be_bytes()).collect();
    let ints: Vec<u8> = [2i16, -1, 0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let columns_first: Vec<u8> = [1f32, 3.0, 5.0, 2.0, 4.0, 6.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let file = npz(&[
        ("x", npy("<f4", true, "(3, 2)", &columns_first)),
        ("y", npy(">f8", false, "(3,)", &floats)),
        ("c", npy("<i2", false, "(3,)", &ints)),
        ("flags", npy("|b1", false, "(3, 1)", &[1, 0, 1])),
        ("pixels", npy("|u1", false, "(3, 1, 2, 3)", &(0..18).collect::<Vec<u8>>())),
        ("names", npy("<U3", false, "(3,)", &[0; 36])),
        ("one", npy("<f4", false, "()", &[0; 4])),
    ]);
    let dir = folder(&[("a.npz", &file)]);
    let data = open(
        dir.path(),
        r#"npz("a.npz", split: [1.0]) { in x: f32[2] = array("x"); in flag: f32[1] = column("flags")
           in image: f32[3, 1, 2] = array("pixels") -> channels_first; y: f32[1] = array("y"); c: class[3] = array("c") }"#,
    );
    let batch = all(&data, Split::Train);
    assert_eq!(f32s(&batch, "x"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(f32s(&batch, "flag"), [1.0, 0.0, 1.0]);
    assert_eq!(f32s(&batch, "image")[..6], [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!((f32s(&batch, "y"), &batch.present["y"][..]), (vec![1.0, 0.0, 3.0], &[1.0, 0.0, 1.0][..]));
    assert_eq!((i64s(&batch, "c"), &batch.present["c"][..]), (vec![2, -1, 0], &[1.0, 0.0, 1.0][..]));
}

#[test]
fn idx_images_and_labels() {
    let images = idx(0x08, &[2, 2, 2], &[0, 255, 100, 50, 9, 9, 9, 9]);
    let dir = folder(&[("images.gz", &gzip(&images)), ("labels", &idx(0x08, &[2], &[3, 9]))]);
    let data = open(
        dir.path(),
        r#"idx("images.gz", "labels", split: [1.0]) { in image: f32[3, 2, 4] = images -> resize(2, 4) -> rgb -> normalize(mean: 127, std: 128)
           article: class[10] = labels }"#,
    );
    let batch = all(&data, Split::Train);
    let channel = [0.0, 63.75, 191.25, 255.0, 100.0, 87.5, 62.5, 50.0].map(|x| (x - 127.0) / 128.0);
    close(&f32s(&batch, "image")[..24], &channel.repeat(3));
    assert_eq!(i64s(&batch, "article"), [3, 9]);
}

/// Images of different sizes and kinds, by class folder, and by a csv of paths.
#[test]
fn folders_of_images() {
    let red = png(1, 1, 4, &[200, 0, 0, 255]);
    let dir = folder(&[
        ("set/cat/b.png", &red),
        ("set/cat/a.png", &png(2, 1, 1, &[10, 20])),
        ("set/dog/c.PNG", &png(1, 1, 3, &[1, 2, 3])),
        ("set/dog/.hidden.png", b""),
        ("set/dog/notes.txt", b""),
        ("set/stray.png", &red),
        ("list.csv", b"file,size\nset/cat/b.png,1\n,\nset/dog/c.PNG,3\n"),
    ]);
    let text = r#"folder("set", split: [1.0]) { in image: f32[3, 1, 1] = images -> resize(1) -> rgb; kind: class[2] = labels }"#;
    let data = open(dir.path(), text);
    let batch = all(&data, Split::Train);
    assert_eq!(f32s(&batch, "image"), [15., 15., 15., 200., 0., 0., 1., 2., 3., 200., 0., 0.]);
    assert_eq!(i64s(&batch, "kind"), [0, 0, 1, -1]);
    assert_eq!(data.class_names("kind").expect("folder names"), ["cat", "dog"]);

    let fixed = std::fs::write(dir.path().join("list.csv"), "file,size\nset/cat/b.png,1\nset/dog/c.PNG,3\n");
    fixed.expect("a file");
    let text = r#"csv("list.csv", split: [1.0]) { in image: f32[1, 1, 1] = column("file") -> read_image -> gray -> resize(1); size: f32[1] = column("size") }"#;
    close(&f32s(&all(&open(dir.path(), text), Split::Train), "image"), &[59.8, 0.299 + 2.0 * 0.587 + 3.0 * 0.114]);
}

#[test]
fn folders_of_splits() {
    let dot = png(1, 1, 1, &[7]);
    let dir = folder(&[("s/train/a/1.png", &dot), ("s/train/b/2.png", &dot), ("s/test/b/3.png", &dot)]);
    let text = r#"folder("s", split: "folders") { in i: f32[1, 1, 1] = images -> gray -> resize(1); k: class["b", "a"] = labels }"#;
    let data = open(dir.path(), text);
    assert_eq!([Split::Train, Split::Validation, Split::Test].map(|split| data.rows(split).len()), [2, 0, 1]);
    assert_eq!(i64s(&all(&data, Split::Train), "k"), [1, 0]);
}

/// Each row is in one split, the same seed gives the same rows, another seed and a limit others, and so do fingerprints.
#[test]
fn splits_are_disjoint_and_repeatable() {
    let rows: String = (0..101).map(|i| format!("{i}\n")).collect();
    let dir = folder(&[("a.csv", format!("x\n{rows}").as_bytes())]);
    let splits = |settings: &str| {
        let text = format!(r#"csv("a.csv", {settings}) {{ in x: f32[1] = column("x") }}"#);
        let data = open(dir.path(), &text);
        (Split::ALL.map(|split| data.rows(split).to_vec()), data.fingerprint().to_string())
    };
    let (first, fingerprint) = splits("split: [0.7, 0.15, 0.15], seed: 7");
    assert_eq!(first.each_ref().map(Vec::len), [71, 15, 15]);
    let union: BTreeSet<usize> = first.iter().flatten().copied().collect();
    assert_eq!(union, (0..101).collect());
    assert_eq!(splits("split: [0.7, 0.15, 0.15], seed: 7"), (first.clone(), fingerprint.clone()));
    // Pinned: a new version that splits otherwise would move test rows of old runs into training.
    assert_eq!(first[2], [1, 25, 27, 35, 38, 45, 47, 62, 63, 66, 69, 87, 94, 98, 99]);
    let (other, of_other) = splits("split: [0.7, 0.15, 0.15], seed: 8");
    assert!(other[0] != first[0] && of_other != fingerprint);
    let (limited, of_limited) = splits("split: [0.7, 0.15, 0.15], seed: 7, limit: 5");
    assert!(limited[0].len() == 5 && limited[0].iter().all(|row| first[0].contains(row)));
    assert!(limited[1..] == first[1..] && of_limited != fingerprint);
    assert_eq!(splits("split: [0.9, 0.1]").0.map(|rows| rows.len()), [91, 10, 0]);
    assert_eq!(splits("split: [1]").0[0], (0..101).collect::<Vec<_>>());
    // One other digit, at the same length.
    let changed = format!("x\n{rows}").replace("100", "101");
    std::fs::write(dir.path().join("a.csv"), changed).expect("a file");
    assert_ne!(splits("split: [0.7, 0.15, 0.15], seed: 7").1, fingerprint);
}

/// About the asked share of training labels goes, the same ones each time, and no others.
#[test]
fn forget_removes_training_labels_only() {
    let rows: String = (0..1000).map(|i| format!("{i}\n")).collect();
    let dir = folder(&[("a.csv", format!("x\n{rows}").as_bytes())]);
    let present = |seed: u64| {
        let text =
            format!(r#"csv("a.csv", split: [0.8, 0.2]) {{ y: f32[1] = column("x") -> forget(0.3, seed: {seed}) }}"#);
        let data = open(dir.path(), &text);
        assert_eq!(data.missing("y", Split::Validation), 0);
        all(&data, Split::Train).present["y"].clone()
    };
    let kept = present(1);
    assert!((500.0..620.0).contains(&kept.iter().sum::<f32>()), "{}", kept.iter().sum::<f32>());
    assert!(present(1) == kept && present(2) != kept);
}

/// Names are unique, and the sources' own tables agree: each path is a parameter, and all split alike.
#[test]
fn lists_are_consistent() {
    let lists = [mtlc::data::sources(), mtlc::data::columns(), mtlc::data::steps()];
    let names: Vec<&str> = lists.iter().flatten().map(|signature| signature.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for source in mtlc::data::SOURCES {
        let has = |name: &str| source.signature.params.iter().any(|param| param.name == name);
        assert!(source.paths.iter().chain(&["split", "seed", "limit"]).all(|name| has(name)), "{source:?}");
    }
}

/// The tables of the repository, with the numbers that their authors give.
#[test]
fn tables_of_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs/data");
    let data = open(
        &root,
        r#"csv("wdbc.csv", split: [1.0]) { in cells: f32[20] = columns(all, except: ["mean texture", "*radius*", "*perimeter*", "*area*"])
           malignant: class["benign", "malignant"] = column("diagnosis"); radius: f32[1] = column("mean radius") }"#,
    );
    let batch = all(&data, Split::Train);
    assert_eq!((batch.size, i64s(&batch, "malignant").iter().sum::<i64>()), (569, 212));
    assert_eq!(f32s(&batch, "radius")[0], 17.99);

    let text = r#"csv("digits.csv.gz", split: [1.0]) { in image: f32[1, 8, 8] = columns(["pixel *"]) -> reshape(1, 8, 8); digit: class[10] = column("digit") }"#;
    let batch = all(&open(&root, text), Split::Train);
    assert_eq!((batch.size, i64s(&batch, "digit")[..4].to_vec()), (1797, vec![0, 1, 2, 3]));
    assert!(f32s(&batch, "image").iter().all(|x| (0.0..=16.0).contains(x)));

    let text = r#"csv("solar_flare.csv", split: [0.8, 0.2]) { in region: tokens[10] < 40 = columns(all, except: ["m-*", "x-*"]) -> categories; flares: f32[1] = column("c-class-flares") -> log1p }"#;
    let data = open(&root, text);
    assert_eq!(Split::ALL.map(|split| data.rows(split).len()), [853, 213, 0]);
}
