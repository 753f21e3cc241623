//! Data of later runs: what was learned prepares the same files again, and new ones without labels.

use super::files::{idx, png};
use super::{all, close, f32s, folder, i64s, spec};
use mtlc::data::{Dataset, Fitted, Split};

/// What was learned survives as JSON, and prepares later files the same way, with other columns and without labels.
#[test]
fn later_runs_prepare_alike() {
    let dir = folder(&[
        ("a.csv", b"a,b,k,y,c\n1,2,u,0.1,no\n2,4,v,0.7,yes\n4,9,u,0.2,no\n"),
        ("new.csv", b"extra,k,b,a\n7,w,2,1\n7,v,4,2\n"),
    ]);
    let text = r#"csv("a.csv", split: [1.0]) { in x: f32[2] = columns(all, except: ["k"]) -> standardize
        in k: tokens[1] = column("k") -> categories
        y: f32[1] = column("y") -> log1p -> standardize; c: class["no", "yes"] = column("c") }"#;
    let (spec, _) = spec::spec(text, dir.path());
    let data = Dataset::open(&spec).expect("sound");
    let json = serde_json::to_string(&data.fitted()).expect("json");
    let fitted: Fitted = serde_json::from_str(&json).expect("json");
    assert_eq!(fitted, data.fitted());
    let again = Dataset::open_fitted(&spec, &fitted).expect("sound");
    assert_eq!(all(&again, Split::Train), all(&data, Split::Train));

    let new = [dir.path().join("new.csv")];
    let new = Dataset::open_unlabelled(&spec, Some(&new), &fitted).expect("sound");
    assert_eq!(new.rows(Split::Test), [0, 1]);
    let (batch, old) = (all(&new, Split::Test), all(&data, Split::Train));
    assert_eq!(f32s(&batch, "x"), f32s(&old, "x")[..4]);
    assert_eq!(i64s(&batch, "k"), [0, 2]);
    assert_eq!((f32s(&batch, "y"), &batch.present["y"]), (vec![0.0, 0.0], &vec![0.0, 0.0]));
    let mut y = f32s(&old, "y");
    new.invert("y", &mut y);
    close(&y, &[0.1, 0.7, 0.2]);
    assert_eq!(new.class_names("c").expect("names"), ["no", "yes"]);
    let whole = Dataset::open_unlabelled(&spec, None, &fitted).expect("sound");
    assert_eq!(all(&whole, Split::Test), old);
}

/// New data of every source: several tables, images without labels, loose image files.
#[test]
fn new_data_without_labels() {
    let (dot, wide) = (png(1, 1, 1, &[7]), png(2, 1, 1, &[1, 3]));
    let dir = folder(&[
        ("a.csv", b"x,y\n1,2\n3,4\n"),
        ("b.csv", b"x\n5\n"),
        ("c.csv", b"x\n6\n7\n"),
        ("s/train/cat/1.png", &dot),
        ("s/train/dog/2.png", &dot),
        ("loose/3.png", &wide),
        ("4.png", &dot),
        ("i", &idx(8, &[2, 1, 1], &[1, 2])),
        ("l", &idx(8, &[2], &[0, 1])),
        ("j", &idx(8, &[1, 1, 1], &[9])),
    ]);
    let predict = |text: &str, files: &[&str]| {
        let (spec, _) = spec::spec(text, dir.path());
        let fitted = Dataset::open(&spec).expect("sound").fitted();
        let files: Vec<_> = files.iter().map(|file| dir.path().join(file)).collect();
        let data = Dataset::open_unlabelled(&spec, Some(&files), &fitted).expect("sound");
        assert_eq!(data.missing("y", Split::Test), data.rows(Split::Test).len());
        (f32s(&all(&data, Split::Test), "x"), data.class_names("y").map(<[String]>::to_vec))
    };
    let text = r#"csv("a.csv", split: [1.0], limit: 1) { in x: f32[1] = column("x"); y: f32[1] = column("y") }"#;
    assert_eq!(predict(text, &["c.csv", "b.csv"]).0, [6.0, 7.0, 5.0]);
    let text =
        r#"folder("s", split: "folders") { in x: f32[1, 1, 1] = images -> gray -> resize(1); y: class[2] = labels }"#;
    let names = Some(vec!["cat".to_string(), "dog".to_string()]);
    assert_eq!(predict(text, &["loose", "4.png"]), (vec![2.0, 7.0], names));
    let (spec, _) = spec::spec(text, dir.path());
    let data = Dataset::open(&spec).expect("sound");
    let own = Dataset::open_unlabelled(&spec, None, &data.fitted()).expect("sound");
    assert_eq!(all(&own, Split::Test), all(&data, Split::Train));
    let text = r#"idx("i", "l", split: [1.0]) { in x: f32[1, 1, 1] = images; y: class[2] = labels }"#;
    assert_eq!(predict(text, &["j"]).0, [9.0]);
}

/// A source may be there for measuring alone.
#[test]
fn a_source_may_have_no_training_rows() {
    let dir = folder(&[("a.csv", b"x,y\n1,2\n3,4\n")]);
    let text = "csv(\"a.csv\", split: [0, 0, 1]) { in x: f32[1] = column(\"x\"); y: f32[1] = column(\"y\") }";
    let (spec, _) = spec::spec(text, dir.path());
    let data = Dataset::open(&spec).expect("nothing is learned from the training rows");
    assert_eq!((data.rows(Split::Train).len(), data.rows(Split::Test)), (0, &[0, 1][..]));
}
