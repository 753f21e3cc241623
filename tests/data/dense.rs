//! Dense targets: boxes, and maps of numbers some of which are missing.

use super::files::{npy, npz};
use super::{all, f32s, folder, open, spec};
use mtlc::data::{Dataset, Split};

const NAN: f32 = f32::NAN;

fn floats(shape: &str, numbers: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    npy("<f4", false, shape, &bytes)
}

/// Rows of two boxes each: two, one, none, and a row that nobody has labelled.
#[test]
fn an_image_without_boxes_has_a_label() {
    let boxes = [
        [0.0, 1.0, 2.0, 3.0, 4.0, 1.0, -2.5, 0.0, 30.0, 9.0],
        [1.0, 5.0, 5.0, 6.0, 7.0, -1.0, 9.0, NAN, 1.0, 1.0],
        [-1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0],
        [NAN; 10],
    ];
    let dir = folder(&[("a.npz", &npz(&[("b", floats("(4, 2, 5)", boxes.as_flattened()))]))]);
    let data = open(dir.path(), "npz(\"a.npz\", split: [1.0]) { b: boxes[2][2] = array(\"b\") }");
    let batch = all(&data, Split::Train);
    assert_eq!(batch.present["b"], [1.0, 1.0, 1.0, 0.0]);
    let got = f32s(&batch, "b");
    assert_eq!(got[..10], boxes[0]);
    assert_eq!(
        got[10..20],
        [1.0, 5.0, 5.0, 6.0, 7.0, -1.0, 0.0, 0.0, 0.0, 0.0],
        "where no box is there are no corners"
    );
    assert_eq!(got[20..30], boxes[2]);
    let mut same = got.clone();
    data.invert("b", &mut same);
    assert_eq!(same, got);
}

#[test]
fn boxes_that_are_none_are_told_by_row_and_box() {
    for (wrong, told) in [
        ([2.0, 0.0, 0.0, 1.0, 1.0], "class `2` is outside the 2 classes"),
        ([0.5, 0.0, 0.0, 1.0, 1.0], "`0.5` is no class index"),
        ([NAN, 0.0, 0.0, 1.0, 1.0], "box 1 has no class"),
        ([0.0, NAN, 0.0, 1.0, 1.0], "box 1 has the corner `NaN`"),
        ([0.0, 0.0, 0.0, f32::INFINITY, 1.0], "box 1 has the corner `inf`"),
        ([0.0, 3.0, 0.0, 1.0, 1.0], "box 1 has no inside: from (3, 0) to (1, 1)"),
        ([0.0, 0.0, 1.0, 1.0, 1.0], "box 1 has no inside"),
    ] {
        let boxes = [[0.0, 0.0, 0.0, 1.0, 1.0], wrong];
        let dir = folder(&[("a.npz", &npz(&[("b", floats("(1, 2, 5)", boxes.as_flattened()))]))]);
        let (spec, source) = spec::spec("npz(\"a.npz\", split: [1.0]) { b: boxes[2][2] = array(\"b\") }", dir.path());
        let told_of = Dataset::open(&spec).expect_err("wrong boxes").render(Some(&source), false);
        assert!(told_of.contains(told), "{told_of}");
    }
}

/// A target with several numbers on one axis is missing as a whole; one with places keeps what it has.
#[test]
fn a_map_keeps_the_pixels_that_are_there() {
    let map = [1.0, NAN, 3.0, 4.0, NAN, NAN, NAN, NAN];
    let arrays = npz(&[("d", floats("(2, 1, 2, 2)", &map)), ("v", floats("(2, 2)", &[1.0, NAN, 3.0, 4.0]))]);
    let dir = folder(&[("a.npz", &arrays)]);
    let fields = "d: f32[1, 2, 2] = array(\"d\") -> normalize(mean: 1, std: 2); v: f32[2] = array(\"v\")";
    let data = open(dir.path(), &format!("npz(\"a.npz\", split: [1.0]) {{ {fields} }}"));
    let batch = all(&data, Split::Train);
    assert_eq!((&batch.present["d"], &batch.present["v"]), (&vec![1.0, 0.0], &vec![0.0, 1.0]));
    let got = f32s(&batch, "d");
    assert!(got[1].is_nan() && got[0] == 0.0 && got[2..4] == [1.0, 1.5] && got[4..] == [0.0; 4], "{got:?}");
    assert_eq!(data.missing("d", Split::Train), 1);
    let mut back = got[..4].to_vec();
    data.invert("d", &mut back);
    assert!(back[1].is_nan() && back[0] == 1.0 && back[2..] == [3.0, 4.0], "{back:?}");
}
