//! Chance in preparation: what a random step draws, and when.
//!
//! A step draws from a generator of its own, seeded by the run's seed, the epoch, the row, the name of the step, and how many
//! steps of that name stand before it in the chain; never by the field. So the image and the mask of a row whose chains have
//! the same random steps are flipped and cut alike, every epoch sees another variant, and the variant does not depend on
//! threads or on the order of the rows.

use super::split::Split;
use crate::base::signature::{Args, Kind, Param};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// A pass over the training rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The seed of the run.
    pub seed: u64,
    /// Epochs before this one.
    pub epoch: u64,
}

/// The row that an example comes from, and when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub index: usize,
    /// The split that it belongs to, if any.
    pub split: Option<Split>,
    /// The pass over the training rows that asks; none when rows are measured or predicted.
    pub moment: Option<Moment>,
}

impl Row {
    pub fn trains(&self) -> bool {
        self.split == Some(Split::Train)
    }
}

/// The last parameter of every random step.
pub const ON: Param = Param::with(
    "on",
    Kind::List(&Kind::Word(&Split::NAMES)),
    "[train]",
    "the splits that it changes; validation and test rows are drawn once and then stay, and training rows are measured unchanged",
);

/// The splits in which a step with these arguments draws, so that a row has another value each epoch; none for a step that does not.
pub fn splits(args: &Args) -> impl Iterator<Item = Split> {
    let words = if args.has(ON.name) { args.list(ON.name) } else { &[] };
    words.iter().filter_map(|word| Split::named(word.value.as_text()?))
}

/// Where a random step draws, and from which generators.
#[derive(Clone, Debug)]
pub struct Chance {
    on: Vec<Split>,
    step: &'static str,
    /// Steps of the same name before it in the chain.
    nth: usize,
}

impl Chance {
    pub fn new(args: &Args, step: &'static str, nth: usize) -> Self {
        Self { on: splits(args).collect(), step, nth }
    }

    /// The generator for a row, where the step changes it.
    pub fn at(&self, row: Row) -> Option<Random> {
        let split = row.split.filter(|split| self.on.contains(split))?;
        let moment = match (split, row.moment) {
            (Split::Train, None) => return None,
            (Split::Train, Some(moment)) => format!("{} {}", moment.seed, moment.epoch),
            _ => split.to_string(),
        };
        let seed = Sha256::digest(format!("{moment} {} {} {}", row.index, self.step, self.nth));
        Some(Random(ChaCha8Rng::from_seed(seed.into())))
    }
}

/// A generator of numbers in ranges.
pub struct Random(pub ChaCha8Rng);

impl Random {
    /// Uniform in [0, 1), from 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number from 0 to `most`, both included.
    pub fn upto(&mut self, most: usize) -> usize {
        ((self.unit() * (most as f64 + 1.0)) as usize).min(most)
    }
}
