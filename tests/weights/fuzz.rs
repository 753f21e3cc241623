//! Damaged and hostile files of weights: whatever is flipped, cut off, put in or put together, a reader answers with tensors or with
//! a diagnostic, never panics, and holds no more memory than a small multiple of the file.
//!
//! `MTLC_FUZZ_SECONDS` says how long to go on; without it a few seconds are enough.

use super::golden;
use crate::allocations::peak;
use mtlc::weights::TensorFile;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, Instant};

/// Bytes that mean something to one of the formats.
const WORDS: &[&[u8]] = &[
    b"(",
    b"t",
    b"R",
    b"Q",
    b"b",
    b"}",
    b"]",
    b")",
    b"u",
    b"s",
    b"e",
    b"a",
    b"N",
    b"0",
    b"2",
    b".",
    b"\x85",
    b"\x86",
    b"\x87",
    b"\x88",
    b"\x93",
    b"\x94",
    b"\x81",
    b"h\x00",
    b"q\x00",
    b"j\xff\xff\xff\x7f",
    b"r\xff\xff\xff\xff",
    b"K\x01",
    b"J\xff\xff\xff\xff",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"X\xff\xff\xff\xff",
    b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
    b"X\x01\x00\x00\x00a",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"cos\nsystem\n",
    b"ctorch\nFloatStorage\n",
    b"X\x07\x00\x00\x00storage",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"PK\x05\x06",
    b"PK\x01\x02",
    b"\"data_offsets\":[0,18446744073709551615]",
    b"\"shape\":[4294967296,4294967296]",
    b"9999999999",
];

struct Fuzz {
    random: ChaCha8Rng,
    files: Vec<(&'static str, Vec<u8>)>,
    folder: tempfile::TempDir,
}

impl Fuzz {
    fn new(seed: u64) -> Fuzz {
        let names = [
            "legacy.pth",
            "legacy4.pth",
            "zip.pth",
            "protocol4.pth",
            "checkpoint.pt",
            "checkpoint_legacy.pt",
            "parts.pt",
            "stored.npz",
            "packed.npz",
            "all.safetensors",
            "model.safetensors.index.json",
            "system_legacy.pth",
        ];
        let files = names.iter().map(|name| (*name, std::fs::read(golden(name)).unwrap())).collect();
        let folder = tempfile::tempdir().unwrap();
        for name in ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] {
            std::fs::copy(golden(name), folder.path().join(name)).unwrap();
        }
        Fuzz { random: ChaCha8Rng::seed_from_u64(seed), files, folder }
    }

    /// A golden file with damage.
    fn damaged(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let mut bytes = self.files[random.gen_range(0..self.files.len())].1.clone();
        // Archives have their lists at the end and pickles their programs in front: half of the damage goes there.
        for _ in 0..random.gen_range(1..8) {
            let near = random.gen_range(0..bytes.len().clamp(1, 400));
            let at = match random.gen_range(0..4) {
                0 => near,
                1 => bytes.len().saturating_sub(near + 1),
                _ => random.gen_range(0..bytes.len().max(1)),
            }
            .min(bytes.len());
            match random.gen_range(0..8) {
                0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.gen_range(0..8),
                2 if at < bytes.len() => bytes[at] = random.r#gen(),
                3 => bytes.truncate(at.max(1)),
                4 => drop(bytes.splice(at..at, WORDS[random.gen_range(0..WORDS.len())].iter().copied())),
                5 => {
                    let word = WORDS[random.gen_range(0..WORDS.len())];
                    let end = (at + word.len()).min(bytes.len());
                    drop(bytes.splice(at..end, word.iter().copied()));
                }
                6 => {
                    let other = &self.files[random.gen_range(0..self.files.len())].1;
                    let from = random.gen_range(0..other.len());
                    let to = random.gen_range(from..=other.len());
                    let end = random.gen_range(at..=bytes.len());
                    drop(bytes.splice(at..end, other[from..to].iter().copied()));
                }
                _ => {
                    let end = random.gen_range(at..=bytes.len()).min(at + 64);
                    drop(bytes.drain(at..end));
                }
            }
        }
        bytes
    }

    /// A program of opcodes behind the magic number of a legacy file.
    fn program(&mut self) -> Vec<u8> {
        let legacy = &self.files[0].1;
        let head = legacy.windows(4).position(|w| w == b"\x80\x02cc").unwrap();
        let mut bytes = legacy[..head + 2].to_vec();
        let repeated = WORDS[self.random.gen_range(0..WORDS.len())];
        let often = self.random.gen_range(0..4) == 0;
        for _ in 0..self.random.gen_range(1..if often { 20_000 } else { 200 }) {
            let other = WORDS[self.random.gen_range(0..WORDS.len())];
            bytes.extend_from_slice(if often && self.random.gen_range(0..50) > 0 { repeated } else { other });
        }
        bytes
    }

    /// Reads the bytes; whether they were refused.
    fn survives(&self, bytes: &[u8]) -> bool {
        let path = self.folder.path().join("fuzzed.index.json");
        std::fs::write(&path, bytes).unwrap();
        let (result, most) = peak(|| TensorFile::read(&path));
        let bound = 80 * bytes.len() + (1 << 20);
        assert!(most <= bound, "{} bytes took {most}, more than {bound}: {}", bytes.len(), keep(bytes));
        match result {
            Ok(file) => {
                for (name, array) in &file.tensors {
                    assert_eq!(array.dims.iter().product::<usize>(), array.data.len(), "{name}");
                }
                false
            }
            Err(wrong) => {
                assert!(wrong.has_errors() && !wrong.render(None, false).is_empty());
                true
            }
        }
    }
}

/// Keeps a file that did harm, and says where.
fn keep(bytes: &[u8]) -> String {
    let path = std::env::temp_dir().join("mtlc-fuzzed-weights");
    std::fs::write(&path, bytes).map_or_else(|e| e.to_string(), |()| format!("see {}", path.display()))
}

#[test]
fn damaged_files_are_read_or_refused() {
    let seconds = std::env::var("MTLC_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    // A long search begins elsewhere each time, and says where.
    let seed = if seconds.is_some() { ChaCha8Rng::from_entropy().r#gen() } else { 41 };
    let mut fuzz = Fuzz::new(seed);
    let began = Instant::now();
    let (mut rounds, mut refused) = (0u64, 0u64);
    // A bound on rounds keeps the suite the same on every machine.
    while seconds.map_or(rounds < 1200, |s| began.elapsed() < Duration::from_secs(s)) {
        let bytes = if rounds % 4 == 3 { fuzz.program() } else { fuzz.damaged() };
        let survived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fuzz.survives(&bytes)));
        let Ok(was_refused) = survived else { panic!("round {rounds} of seed {seed}: {}", keep(&bytes)) };
        refused += u64::from(was_refused);
        rounds += 1;
    }
    println!("{rounds} files in {:.0} s, {refused} refused", began.elapsed().as_secs_f64());
    assert!(refused > rounds / 3 && refused < rounds, "{refused} of {rounds} files were refused");
}

/// Sizes that only a claim could fill: they are refused before memory is taken for them.
#[test]
fn claims_take_no_memory() {
    let fuzz = Fuzz::new(0);
    let header = r#"{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#;
    let mut safetensors = (header.len() as u64).to_le_bytes().to_vec();
    safetensors.extend_from_slice(header.as_bytes());
    assert!(fuzz.survives(&safetensors));
    // A row of one number that claims to repeat itself a million times a million times.
    let legacy = std::fs::read(golden("legacy_cuda.pth")).unwrap();
    let sizes = b"K\x02K\x02\x86";
    let at = legacy.windows(sizes.len()).position(|w| w == sizes).expect("sizes in the pickle");
    let mut claim = legacy[..at].to_vec();
    claim.extend_from_slice(b"J\x40\x42\x0f\x00J\x40\x42\x0f\x00\x86");
    let rest = &legacy[at + sizes.len()..];
    let strides = rest.windows(5).position(|w| w == b"K\x01K\x02\x86").expect("strides in the pickle");
    claim.extend_from_slice(&rest[..strides]);
    claim.extend_from_slice(b"K\x00K\x00\x86");
    claim.extend_from_slice(&rest[strides + 5..]);
    assert!(fuzz.survives(&claim));
}
