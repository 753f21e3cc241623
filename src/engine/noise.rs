//! Seeded randomness that belongs to a place, not to a moment: a parameter's first values depend on the seed and its path, a
//! dropout mask on the seed, its path and the step. So a head added elsewhere changes nothing here, and a resumed run draws
//! what an uninterrupted one draws.

use crate::graph::{Init, Leaf};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution, Normal};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The randomness of one training step.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    pub seed: u64,
    /// Training steps done before this one.
    pub step: u64,
}

/// A generator for one purpose at one place.
pub fn generator(seed: u64, purpose: &str, place: &str, time: u64) -> ChaCha8Rng {
    // The digest of `{seed}\0{purpose}\0{place}\0{time}`, without a string: masks are drawn in steps that take no memory.
    let mut digest = Sha256::new();
    let parts: [&dyn std::fmt::Display; 4] = [&seed, &purpose, &place, &time];
    for (i, part) in parts.into_iter().enumerate() {
        let separator = if i == 0 { "" } else { "\0" };
        write!(Text(&mut digest), "{separator}{part}").expect("a digest takes any text");
    }
    ChaCha8Rng::from_seed(digest.finalize().into())
}

/// Text that goes straight into a digest.
struct Text<'a>(&'a mut Sha256);

impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text);
        Ok(())
    }
}

impl Noise {
    /// The dropout mask at `path`: 1 / keep with probability `keep`, else 0.
    pub fn mask(self, path: &str, keep: f64, mask: &mut [f32]) {
        let mut rng = generator(self.seed, "mask", path, self.step);
        let kept = (1.0 / keep) as f32;
        mask.fill_with(|| if rng.r#gen::<f64>() < keep { kept } else { 0.0 });
    }

    /// A number from Beta(`alpha`, `alpha`).
    pub fn share(self, alpha: f64) -> f32 {
        let mut rng = generator(self.seed, "share", "mixup", self.step);
        Beta::new(alpha, alpha).map_or(1.0, |beta| beta.sample(&mut rng) as f32)
    }

    /// Draws what a leaf is in this step: a mask or a share.
    pub fn draw(self, leaf: &Leaf, into: &mut [f32]) {
        match leaf {
            Leaf::Mask { path, keep } => self.mask(path, *keep, into),
            Leaf::Share { alpha } => into.fill(self.share(*alpha)),
            _ => panic!("bug: {leaf:?} is given, not drawn"),
        }
    }
}

/// The first values of a parameter.
pub fn initial(init: Init, seed: u64, path: &str, elements: usize) -> Vec<f32> {
    let mut rng = generator(seed, "initial", path, 0);
    match init {
        Init::Zeros => vec![0.0; elements],
        Init::Ones => vec![1.0; elements],
        Init::Constant(x) => vec![x as f32; elements],
        Init::Uniform(bound) => (0..elements).map(|_| rng.gen_range(-bound..=bound) as f32).collect(),
        Init::Normal(deviation) => {
            let normal = Normal::new(0.0, deviation).expect("a layer gives a finite deviation");
            (0..elements).map(|_| normal.sample(&mut rng) as f32).collect()
        }
        Init::Stitch { parts, own } => {
            let other = (1.0 - own) / (parts - 1).max(1) as f64;
            let is_own = |i: usize| i / parts % parts == i % parts;
            (0..elements).map(|i| if is_own(i) { own as f32 } else { other as f32 }).collect()
        }
    }
}
