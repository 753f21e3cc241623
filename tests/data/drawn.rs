//! Sources that draw their rows: the same everywhere, and labels that fit one another.

use super::{all, f32s, i64s, open, spec};
use mtlc::data::{Batch, Dataset, Split};
use sha2::{Digest, Sha256};
use std::path::Path;

const BOXES: usize = 12;

fn driving(arguments: &str, height: usize, width: usize) -> Dataset {
    let text = format!(
        "driving({arguments}) {{ in image: f32[3, {height}, {width}] = images
           lanes: class[3][{height}, {width}] = array(\"lanes\"); depth: f32[1, {height}, {width}] = array(\"depth\")
           normals: f32[3, {height}, {width}] = array(\"normals\"); boxes: f32[{BOXES}, 5] = array(\"boxes\") }}"
    );
    open(Path::new(""), &text)
}

fn lesions(arguments: &str, size: usize) -> Dataset {
    let text = format!(
        "lesions({arguments}, size: {size}) {{ in image: f32[3, {size}, {size}] = array(\"images\")
           mask: class[2][{size}, {size}] = array(\"mask\"); present: class[2] = array(\"present\")
           size: f32[1] = array(\"size\"); malignant: class[\"benign\", \"malignant\"] = array(\"malignant\") }}"
    );
    open(Path::new(""), &text)
}

/// SHA-256 over the bits of every value of a batch, field by field.
fn hash(batch: &Batch, fields: &[&str]) -> String {
    let mut hash = Sha256::new();
    for field in fields {
        match &batch.values[*field] {
            mtlc::data::Array::F32 { data, .. } => data.iter().for_each(|x| hash.update(x.to_bits().to_le_bytes())),
            mtlc::data::Array::I64 { data, .. } => data.iter().for_each(|x| hash.update(x.to_le_bytes())),
        }
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

const SCENE: [&str; 5] = ["image", "lanes", "depth", "normals", "boxes"];
const SKIN: [&str; 5] = ["image", "mask", "present", "size", "malignant"];

/// The hashes would differ on a platform whose arithmetic differs, and whenever the drawing changes.
#[test]
fn a_row_follows_from_its_number_alone() {
    let few = driving("rows: 4, split: [1.0]", 48, 80);
    let many = driving("rows: 9, split: [0.4, 0.3, 0.3], seed: 5", 48, 80);
    let row = |data: &Dataset, row: usize| hash(&data.batch(&[row]).expect("a row"), &SCENE);
    assert_eq!(row(&few, 3), row(&many, 3));
    let scenes = [row(&few, 0), row(&few, 3)];
    assert_ne!(row(&few, 3), row(&driving("rows: 4, split: [1.0], draw: 1", 48, 80), 3));
    assert_ne!(few.fingerprint(), driving("rows: 4, split: [1.0], draw: 1", 48, 80).fingerprint());

    let (few, many) = (lesions("rows: 4, split: [1.0]", 48), lesions("rows: 9, split: [0.4, 0.3, 0.3], seed: 5", 48));
    let row = |data: &Dataset, row: usize| hash(&data.batch(&[row]).expect("a row"), &SKIN);
    assert_eq!(row(&few, 3), row(&many, 3));
    assert_ne!(row(&few, 3), row(&lesions("rows: 4, split: [1.0], draw: 1", 48), 3));
    let hashes = format!("driving {scenes:?}\nlesions {:?}\n", [row(&few, 0), row(&few, 3)]);
    super::faults::pin("drawn_rows_hashes", &hashes, Path::new("/nowhere"));
}

#[test]
fn splits_and_limits_hold_of_drawn_rows() {
    let data = driving("rows: 50, height: 16, width: 16, seed: 3, limit: 7", 16, 16);
    assert_eq!([Split::Train, Split::Validation, Split::Test].map(|split| data.rows(split).len()), [7, 5, 5]);
    let other = driving("rows: 50, height: 16, width: 16, seed: 4", 16, 16);
    assert_ne!(data.rows(Split::Test), other.rows(Split::Test));
    assert_eq!(other.rows(Split::Train).len(), 40);
}

/// Boxes have pixels that stand out of the ground, all classes occur, and surfaces are where their depth and normals say.
#[test]
fn labels_of_scenes_fit_one_another() {
    let (height, width) = (48, 80);
    let data = driving("rows: 60, split: [1.0]", height, width);
    let batch = all(&data, Split::Train);
    let (lanes, depth) = (i64s(&batch, "lanes"), f32s(&batch, "depth"));
    let (normals, boxes) = (f32s(&batch, "normals"), f32s(&batch, "boxes"));
    let area = height * width;
    let mut of_class = [0; 3];
    let mut of_lane = [0; 3];
    for row in 0..batch.size {
        let (lanes, depth) = (&lanes[row * area..][..area], &depth[row * area..][..area]);
        let normals = &normals[row * 3 * area..][..3 * area];
        let normal = |i: usize| [normals[i], normals[area + i], normals[2 * area + i]];
        // What neither lies nor faces the camera from the far plane is the side of an object.
        let is_object = |i: usize| depth[i] < 80.0 && normal(i)[1] < 0.5;
        let mut ended = false;
        let mut covered = vec![false; area];
        for found in boxes[row * BOXES * 5..][..BOXES * 5].chunks_exact(5) {
            let [class, x0, y0, x1, y1] = [0, 1, 2, 3, 4].map(|i| found[i]);
            if class < 0.0 {
                assert_eq!(found, [-1.0, 0.0, 0.0, 0.0, 0.0]);
                ended = true;
                continue;
            }
            assert!(!ended, "an unused box stands before a used one");
            assert!(x0 < x1 && y0 < y1 && x1 <= width as f32 && y1 <= height as f32, "{found:?}");
            of_class[class as usize] += 1;
            let places =
                (y0 as usize..y1 as usize).flat_map(|y| (x0 as usize..x1 as usize).map(move |x| y * width + x));
            let mut shows = false;
            for i in places {
                covered[i] = true;
                shows |= is_object(i);
            }
            assert!(shows, "a box without an object: {found:?}");
        }
        for i in 0..area {
            let [x, y, z] = normal(i);
            assert!((x * x + y * y + z * z - 1.0).abs() < 1e-5, "no unit vector");
            assert!(depth[i] > 0.0 && depth[i] <= 80.0);
            of_lane[lanes[i] as usize] += 1;
            if lanes[i] > 0 {
                assert_eq!([x, y, z], [0.0, 1.0, 0.0], "a road that is not flat");
            }
        }
        // Without roll, the ground of a row of pixels is equally far, and whatever stands on it is nearer.
        for row in 0..height {
            let row = row * width..(row + 1) * width;
            let far = depth[row.clone()].iter().copied().fold(0.0, f32::max);
            for i in row {
                assert!(lanes[i] == 0 || depth[i] == far, "a road that is not flat");
                assert!(!is_object(i) || depth[i] < far, "an object behind the ground");
            }
        }
        let outside = (0..area).filter(|&i| is_object(i) && !covered[i]).count();
        assert!(outside < 4 * BOXES, "{outside} pixels of objects lie in no box");
    }
    assert!(of_class.iter().all(|n| *n >= 20), "cars, people and signs: {of_class:?}");
    assert!(of_lane[1] > 10 * of_lane[2] && of_lane[2] > batch.size * 20, "pixels: {of_lane:?}");
}

/// Sizes are those of the masks, and what is said of a lesion is said where there is one.
#[test]
fn labels_of_lesions_fit_one_another() {
    let data = lesions("rows: 200, split: [1.0]", 32);
    let batch = all(&data, Split::Train);
    let (mask, present) = (i64s(&batch, "mask"), i64s(&batch, "present"));
    let (size, malignant) = (f32s(&batch, "size"), i64s(&batch, "malignant"));
    for row in 0..batch.size {
        let pixels = mask[row * 1024..][..1024].iter().filter(|id| **id == 1).count();
        let there = present[row] == 1;
        assert_eq!(there, pixels > 0);
        assert_eq!([batch.present["size"][row], batch.present["malignant"][row]], [f32::from(there); 2]);
        assert_eq!(there, malignant[row] >= 0);
        if there {
            let area = pixels as f64 * 0.25;
            assert!((f64::from(size[row]) - 2.0 * (area / std::f64::consts::PI).sqrt()).abs() < 1e-5);
        }
    }
    let count = |of: &[i64], id: i64| of.iter().filter(|found| **found == id).count();
    assert!((130..170).contains(&count(&present, 1)), "{} lesions", count(&present, 1));
    assert!((40..110).contains(&count(&malignant, 1)), "{} malignant ones", count(&malignant, 1));
    assert_eq!(data.missing("size", Split::Train), count(&present, 0));
}

/// A prediction is of all rows, and other files are an error.
#[test]
fn drawn_rows_are_predicted_whole() {
    let text =
        "lesions(rows: 20, size: 16, limit: 3) { in image: f32[3, 16, 16] = images; size: f32[1] = array(\"size\") }";
    let (bound, _) = spec::spec(text, Path::new(""));
    let fitted = Dataset::open(&bound).expect("the data").fitted();
    let whole = Dataset::open_unlabelled(&bound, None, &fitted).expect("all rows");
    assert_eq!(whole.rows(Split::Test).len(), 20);
    let wrong = Dataset::open_unlabelled(&bound, Some(&["a.npz".into()]), &fitted).expect_err("no file can be read");
    super::faults::pin("drawn_files", &wrong.render(None, false), Path::new("/nowhere"));
}
