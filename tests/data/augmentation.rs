//! Random steps: what they do to pixels, when they draw, and that what belongs together is changed together.

use super::{all, close, f32s, folder, i64s, idx, open};
use mtlc::data::{Batch, Dataset, Moment, Split};
use tempfile::TempDir;

/// Twelve images of 3 by 4 pixels, of which each has the value 20·row + place, and their maps, the place alone.
fn images() -> TempDir {
    let pixels: Vec<u8> = (0..144).map(|i| (i / 12 * 20 + i % 12) as u8).collect();
    let classes: Vec<u8> = (0..144).map(|i| (i % 12) as u8).collect();
    folder(&[("i", &idx(8, &[12, 3, 4], &pixels)), ("m", &idx(8, &[12, 3, 4], &classes))])
}

fn opened(dir: &TempDir, fields: &str) -> Dataset {
    open(dir.path(), &format!(r#"idx("i", split: [0.5, 0.25, 0.25]) {{ {fields} }}"#))
}

fn at(data: &Dataset, split: Split, seed: u64, epoch: u64) -> Batch {
    data.batch_of(data.rows(split), &|_| true, Some(Moment { seed, epoch })).expect("a batch")
}

/// One image of a batch less its row's 20.
fn places(batch: &Batch, name: &str, size: usize) -> Vec<Vec<f32>> {
    f32s(batch, name).chunks(size).map(|image| image.iter().map(|x| x % 20.0).collect()).collect()
}

#[test]
fn flips_mirror() {
    let dir = images();
    let data = opened(&dir, "in x: f32[1, 3, 4] = images -> flip(1); in y: f32[1, 3, 4] = images -> flip(1, vertical)");
    let batch = at(&data, Split::Train, 0, 0);
    let across = [3., 2., 1., 0., 7., 6., 5., 4., 11., 10., 9., 8.];
    let down = [8., 9., 10., 11., 4., 5., 6., 7., 0., 1., 2., 3.];
    assert!(places(&batch, "x", 12).iter().all(|image| image == &across));
    assert!(places(&batch, "y", 12).iter().all(|image| image == &down));
    // Measured and predicted rows are as they are, and so are the others while training.
    let as_is: Vec<f32> = (0..12).map(|i| i as f32).collect();
    for batch in [all(&data, Split::Train), at(&data, Split::Validation, 0, 0), all(&data, Split::Test)] {
        assert!(places(&batch, "x", 12).iter().all(|image| image == &as_is));
    }
}

/// Half of the rows of many epochs, another half each epoch and seed, and the same half again for the same epoch and seed.
#[test]
fn chance_is_seeded_by_epoch_and_row() {
    let dir = images();
    let data = opened(&dir, "in x: f32[1, 3, 4] = images -> flip");
    let flipped = |seed, epoch| -> Vec<bool> {
        places(&at(&data, Split::Train, seed, epoch), "x", 12).iter().map(|image| image[0] == 3.0).collect()
    };
    let epochs: Vec<Vec<bool>> = (0..100).map(|epoch| flipped(1, epoch)).collect();
    let share = epochs.iter().flatten().filter(|flips| **flips).count() as f64 / 600.0;
    assert!((share - 0.5).abs() < 0.08, "{share}");
    assert!(epochs.windows(2).filter(|pair| pair[0] == pair[1]).count() < 10);
    assert_eq!(epochs[7], flipped(1, 7));
    assert_ne!(epochs[..8].concat(), (0..8).flat_map(|epoch| flipped(2, epoch)).collect::<Vec<_>>());
    // A row draws the same whoever stands beside it in the batch.
    let rows = data.rows(Split::Train);
    let one = data.batch_of(&rows[3..4], &|_| true, Some(Moment { seed: 1, epoch: 7 })).expect("a batch");
    assert_eq!(places(&one, "x", 12)[0][0] == 3.0, epochs[7][3]);
}

/// The image and the map of a row move together; a second step of the same name draws by itself.
#[test]
fn fields_of_a_row_are_changed_alike() {
    let dir = images();
    let chain = "images -> flip -> crop(2, 3, padding: 1)";
    let data = open(
        dir.path(),
        &format!(
            r#"idx("i", split: [0.5, 0.5]) {{ in x: f32[1, 2, 3] = {chain}; y: class[12][2, 3] = images -> reshape(3, 4) -> flip -> crop(2, 3, padding: 1) }}"#
        )
        .replace(r#"idx("i""#, r#"idx("m""#),
    );
    let mut borders = 0;
    for epoch in 0..20 {
        let batch = at(&data, Split::Train, 3, epoch);
        for (x, y) in f32s(&batch, "x").iter().zip(i64s(&batch, "y")) {
            // A border is 0 in the image, and a missing class in the map.
            assert_eq!(*x, if y == -1 { 0.0 } else { y as f32 });
            borders += usize::from(y == -1);
        }
    }
    assert!(borders > 20);
    let twice = opened(&dir, "in x: f32[1, 3, 4] = images -> flip -> flip");
    let changed =
        (0..20).flat_map(|e| places(&at(&twice, Split::Train, 3, e), "x", 12)).filter(|image| image[0] == 3.0);
    assert!((40..80).contains(&changed.count()), "two flips that agree cancel each other");
}

#[test]
fn crops_are_windows() {
    let dir = images();
    let data = opened(&dir, "in x: f32[1, 2, 2] = images -> crop(2)");
    let mut seen = std::collections::BTreeSet::new();
    for epoch in 0..40 {
        for image in places(&at(&data, Split::Train, 0, epoch), "x", 4) {
            let corner = image[0];
            assert_eq!(image, [corner, corner + 1.0, corner + 4.0, corner + 5.0]);
            seen.insert(corner as usize);
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 4, 5, 6]);
    assert!(places(&all(&data, Split::Test), "x", 4).iter().all(|image| image == &[1., 2., 5., 6.]));
}

/// Of the whole image when the area says so; else of parts, whose values lie between those of the image.
#[test]
fn resized_crops() {
    let dir = images();
    let data = opened(
        &dir,
        "in x: f32[1, 6, 8] = images -> resized_crop(6, 8); in y: f32[1, 6, 8] = images -> resized_crop(6, 8, area: [1, 1], aspect: [1.3333333, 1.3333334]); in z: f32[1, 6, 8] = images -> resize(6, 8)",
    );
    let batch = at(&data, Split::Train, 5, 2);
    close(&f32s(&batch, "y"), &f32s(&batch, "z"));
    assert_ne!(f32s(&batch, "x"), f32s(&batch, "z"));
    let spread = |image: &[f32]| {
        let (low, high) = image.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| (low.min(x), high.max(x)));
        assert!(low >= 0.0 && high <= 11.0);
        high - low
    };
    let spreads: Vec<f32> =
        (0..20).flat_map(|e| places(&at(&data, Split::Train, 5, e), "x", 48)).map(|image| spread(&image)).collect();
    assert!(spreads.iter().any(|s| *s < 6.0) && spreads.iter().any(|s| *s > 8.0), "{spreads:?}");
    assert_eq!(f32s(&all(&data, Split::Train), "x"), f32s(&all(&data, Split::Train), "z"));
}

/// Each change by itself is a line through a fixed point: 0, the mean, the gray of the pixel.
#[test]
fn colours() {
    let pixels: Vec<u8> =
        [[90, 110, 100], [60, 100, 140], [80, 120, 130]].concat().into_iter().flat_map(|x| [x, x + 9]).collect();
    let dir = folder(&[("i", &idx(8, &[1, 3, 2, 3], &pixels))]);
    let data = open(
        dir.path(),
        r#"idx("i", split: [1.0]) { in b: f32[3, 2, 3] = images -> color(brightness: 0.3)
           in c: f32[3, 2, 3] = images -> color(contrast: 0.3); in s: f32[3, 2, 3] = images -> color(saturation: 0.3) }"#,
    );
    let plain = f32s(&all(&data, Split::Train), "b");
    let gray = |i: usize| 0.299 * plain[i] + 0.587 * plain[6 + i] + 0.114 * plain[12 + i];
    let mean = (0..6).map(gray).sum::<f32>() / 6.0;
    for epoch in 0..5 {
        let batch = at(&data, Split::Train, 1, epoch);
        for (name, fixed) in [("b", [0.0; 6]), ("c", [mean; 6]), ("s", [0, 1, 2, 3, 4, 5].map(gray))] {
            let factors: Vec<f32> = f32s(&batch, name)
                .iter()
                .zip(&plain)
                .enumerate()
                .map(|(i, (got, was))| (got - fixed[i % 6]) / (was - fixed[i % 6]))
                .collect();
            assert!(factors.iter().all(|f| (f - factors[0]).abs() < 1e-2), "{name}: {factors:?}");
            assert!((0.7..=1.3).contains(&factors[0]) && (factors[0] - 1.0).abs() > 1e-4, "{name}: {}", factors[0]);
        }
    }
}

#[test]
fn cutouts_hide_squares() {
    let dir = images();
    let data = opened(&dir, "in x: f32[1, 3, 4] = images -> cutout(2, value: 7.5)");
    let mut counts = std::collections::BTreeSet::new();
    for epoch in 0..30 {
        for image in places(&at(&data, Split::Train, 0, epoch), "x", 12) {
            let hidden: Vec<usize> = (0..12).filter(|i| image[*i] == 7.5).collect();
            assert!(hidden.iter().all(|i| i % 4 <= hidden[0] % 4 + 1 && i / 4 <= hidden[0] / 4 + 1), "{hidden:?}");
            counts.insert(hidden.len());
        }
    }
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [1, 2, 4]);
}

/// Where a step is asked to change validation rows, each has one variant, in every pass.
#[test]
fn other_splits_are_drawn_once() {
    let dir = images();
    let data = opened(&dir, r#"in x: f32[1, 3, 4] = images -> crop(3, 4, padding: 4, on: [validation])"#);
    let first = f32s(&all(&data, Split::Validation), "x");
    assert_eq!(first, f32s(&at(&data, Split::Validation, 9, 9), "x"));
    assert!(places(&all(&data, Split::Validation), "x", 12).iter().any(|image| image[1] != 1.0));
    assert!(places(&at(&data, Split::Train, 9, 9), "x", 12).iter().all(|image| image[1] == 1.0));
}
