//! Damaged files: whatever is cut off or changed, readers answer with values or diagnostics, and never panic.

use super::files::{gzip, idx, image, npy, npz, png};
use super::{folder, spec};
use image::ImageFormat;
use mtlc::data::{Dataset, Split};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Opens 600 variants of a file, and reads all rows of those that open. Some variants open and some do not.
fn survive(name: &str, sound: &[u8], text: &str, others: &[(&str, &[u8])]) {
    let dir = folder(others);
    let (spec, _) = spec::spec(text, dir.path());
    let read = |bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).expect("a file");
        let data = Dataset::open(&spec)?;
        data.batch(data.rows(Split::Train))
    };
    let whole = read(sound).unwrap_or_else(|diagnostics| panic!("{}", diagnostics.render(None, false)));
    let mut random = ChaCha8Rng::seed_from_u64(17);
    let mut refused = 0;
    for round in 0..600 {
        let mut bytes = sound.to_vec();
        if round % 3 == 0 {
            bytes.truncate(random.gen_range(0..sound.len()));
        } else {
            for _ in 0..random.gen_range(1..6) {
                let at = random.gen_range(0..bytes.len());
                match random.gen_range(0..4) {
                    0 => bytes[at] = [0, 255, b'"', b',', b'\n', b'[', b'9', b'-'][random.gen_range(0..8)],
                    1 => bytes[at] ^= 1 << random.gen_range(0..8),
                    2 => bytes.insert(at, random.r#gen()),
                    _ => drop(bytes.remove(at)),
                }
            }
        }
        match read(&bytes) {
            Ok(batch) => assert_eq!(batch.values.len(), whole.values.len()),
            Err(diagnostics) => {
                refused += 1;
                assert!(diagnostics.has_errors() && !diagnostics.render(None, false).is_empty());
            }
        }
    }
    assert!(refused > 100, "only {refused} of 600 damaged files were refused");
}

#[test]
fn csv() {
    let table = b"x,k,y,c\n1,\"u, v\",0.5,cat\n2.5,w,,dog\n-3e2,w,7,cat\n";
    let fields = r#"{ in x: f32[1] = column("x") -> standardize; in k: tokens[1] = column("k") -> categories
        y: f32[1] = column("y") -> log1p; c: class["cat", "dog"] = column("c") }"#;
    survive("a.csv", table, &format!("csv(\"a.csv\", split: [1.0]) {fields}"), &[]);
    survive("a.csv", &gzip(table), &format!("csv(\"a.csv\", split: [1.0]) {fields}"), &[]);
}

#[test]
fn jsonl() {
    let lines =
        b"{\"x\": [1, 2.5], \"t\": \"some text\", \"c\": 1}\n{\"x\": [3, 4e1], \"t\": \"\\u00e9\", \"c\": null}\n";
    let text = r#"jsonl("a.jsonl", split: [1.0]) { in x: f32[2] = column("x"); in t: tokens[6] = column("t") -> bytes(6); c: class[3] = column("c") }"#;
    survive("a.jsonl", lines, text, &[]);
}

#[test]
fn npz_archive() {
    let floats: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let file = npz(&[("x", npy("<f4", true, "(2, 2)", &floats)), ("c", npy("<i8", false, "(2,)", &[0; 16]))]);
    let text = r#"npz("a.npz", split: [1.0]) { in x: f32[2] = array("x"); c: class[3] = array("c") }"#;
    survive("a.npz", &file, text, &[]);
}

/// An archive stored without checksums that would reveal the damage: the header itself is wrong.
#[test]
fn npy_headers() {
    let array = npy("<f4", false, "(2, 2)", &[0; 16]);
    let mut random = ChaCha8Rng::seed_from_u64(23);
    let text = r#"npz("a.npz", split: [1.0]) { in x: f32[2] = array("x") }"#;
    let dir = folder(&[]);
    let (spec, _) = spec::spec(text, dir.path());
    let mut refused = 0;
    for _ in 0..600 {
        let mut bytes = array.clone();
        for _ in 0..random.gen_range(1..5) {
            let at = random.gen_range(0..bytes.len().min(80));
            bytes[at] = b"0123456789(){}[]'<>,: fiubOTL_x"[random.gen_range(0..31)];
        }
        std::fs::write(dir.path().join("a.npz"), npz(&[("x", bytes)])).expect("a file");
        refused += usize::from(Dataset::open(&spec).is_err());
    }
    assert!(refused > 300, "only {refused} of 600 wrong headers were refused");
}

#[test]
fn idx_pair() {
    let (images, labels) = (idx(8, &[3, 2, 2], &[9; 12]), idx(8, &[3], &[0, 1, 2]));
    let text = r#"idx("i", "l", split: [1.0]) { in x: f32[1, 3, 3] = images -> resize(3); y: class[3] = labels }"#;
    survive("i", &images, text, &[("l", &labels)]);
    survive("l", &labels, text, &[("i", &images)]);
    survive("i", &gzip(&images), text, &[("l", &labels)]);
}

#[test]
fn images() {
    let pixels: Vec<u8> = (0..192).collect();
    let text = r#"folder("s", split: [1.0]) { in x: f32[3, 2, 2] = images -> rgb -> resize(2); y: class[1] = labels }"#;
    for (name, format) in [
        ("s/a/1.png", ImageFormat::Png),
        ("s/a/1.jpg", ImageFormat::Jpeg),
        ("s/a/1.bmp", ImageFormat::Bmp),
        ("s/a/1.ppm", ImageFormat::Pnm),
    ] {
        survive(name, &image(format, 8, 8, 3, &pixels), text, &[("s/a/2.png", &png(1, 1, 1, &[0]))]);
    }
}
