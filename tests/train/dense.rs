//! Detection from data to answers, and maps with missing pixels.

use super::{metric, train};
use crate::data::files::{npy, npz};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const SIDE: usize = 32;
const MOST: usize = 3;
const ROWS: usize = 40;

const SPEC: &str = r#"
model shapes
input  image: f32[1, 32, 32]
target things: boxes["light", "dark"][3]
target depth: f32[1, 8, 8]
backbone trunk(image) =
  conv(16, 3, stride: 2) -> norm -> relu -> conv(32, 3, stride: 2) -> norm -> relu -> conv(32, 3) -> norm -> relu
head objects(trunk) = conv(32, 3) -> norm -> relu -> detect(2)
head distance(trunk) = conv(1, 1)
minimize detection(objects, things) + 0.1 * l1(distance, depth)
measure  map50(objects, things), map(objects, things), mae(distance, depth)
data shapes = npz("shapes.npz", split: [0.9, 0.1], seed: 1) {
  image = array("images")
  things = array("boxes")
  depth = array("depth")
}
train { epochs: 50, batch: 8, optimizer: adam(lr: 5e-3), schedule: cosine }
"#;

fn floats(dims: &[usize], numbers: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    npy("<f4", false, &format!("({})", dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")), &bytes)
}

/// Light and dark rectangles on gray, none to two in an image; each eighth image has no labels, and depth has gaps.
fn shapes(folder: &Path) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let (mut images, mut boxes) = (vec![0.0f32; ROWS * SIDE * SIDE], vec![0.0f32; ROWS * MOST * 5]);
    let mut depth = vec![0.0f32; ROWS * 64];
    for row in 0..ROWS {
        let own = &mut boxes[row * MOST * 5..][..MOST * 5];
        own.iter_mut().step_by(5).for_each(|class| *class = -1.0);
        for (k, slot) in own.chunks_exact_mut(5).take(row % 3).enumerate() {
            let [w, h] = [0; 2].map(|_| random.gen_range(6..14usize));
            // Each in its own half.
            let (x, y) = (16 * k + random.gen_range(0..=16 - w), random.gen_range(0..=SIDE - h));
            let class = random.gen_range(0..2usize);
            for (i, j) in (y..y + h).flat_map(|i| (x..x + w).map(move |j| (i, j))) {
                images[(row * SIDE + i) * SIDE + j] = if class == 0 { 1.0 } else { -1.0 };
            }
            slot.copy_from_slice(&[class as f32, x as f32, y as f32, (x + w) as f32, (y + h) as f32]);
        }
        if row % 8 == 7 {
            own.fill(f32::NAN);
        }
        for (i, d) in depth[row * 64..][..64].iter_mut().enumerate() {
            *d = if i % 5 == row % 5 { f32::NAN } else { 2.0 };
        }
    }
    let bytes = npz(&[
        ("images", floats(&[ROWS, 1, SIDE, SIDE], &images)),
        ("boxes", floats(&[ROWS, MOST, 5], &boxes)),
        ("depth", floats(&[ROWS, 1, 8, 8], &depth)),
    ]);
    std::fs::write(folder.join("shapes.npz"), bytes).expect("the data");
    std::fs::write(folder.join("shapes.mtl"), SPEC).expect("the spec");
}

/// A small net learns the shapes, and answers them in the words and pixels of the data.
#[test]
fn a_small_net_finds_shapes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    shapes(folder.path());
    let run = train(folder.path(), Path::new("shapes.mtl"), &[]);
    assert!(metric(&run, "train", "map50(objects)") > 0.9, "{run}");
    assert!(metric(&run, "train", "map(objects)") > 0.4, "{run}");
    let mae = metric(&run, "train", "mae(distance)");
    assert!(mae < 0.5, "pixels without a depth made it {mae}");
    let output = Command::new(env!("CARGO_BIN_EXE_mtlc"))
        .current_dir(folder.path())
        .args(["predict", "shapes.mtl", "--heads", "objects"])
        .output()
        .expect("the command starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(answers.len(), ROWS);
    for (row, answer) in answers.iter().enumerate() {
        let found = answer["objects"].as_array().expect("a list of boxes");
        for one in found {
            assert!(["light", "dark"].contains(&one["class"].as_str().expect("a class by name")), "{one}");
            assert!((0.3..=1.0).contains(&one["score"].as_f64().expect("a score")), "{one}");
            let corners: Vec<f64> = one["box"].as_array().expect("four").iter().map(|x| x.as_f64().unwrap()).collect();
            assert!(corners.len() == 4 && corners[0] < corners[2] && corners[1] < corners[3], "{one}");
        }
        let scores: Vec<f64> = found.iter().map(|f| f["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "row {row}: {scores:?}");
    }
    let right = answers.iter().enumerate().filter(|(row, a)| a["objects"].as_array().unwrap().len() == row % 3).count();
    assert!(right * 10 >= ROWS * 8, "only {right} of {ROWS} images have as many answers as shapes");
}
