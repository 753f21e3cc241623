//! `forget`: removes a share of a target's training labels at random, to try out how a model fares with few of them.
//!
//! Each training row is drawn by itself from the seed and its place in the file, so the same labels are gone in every run.
//! Validation and test rows keep theirs: what is measured stays comparable.

use super::{Field, Made, Step, StepKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::data::draw::{Random, Row};
use crate::data::form::{Example, Fault, Form};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "forget",
        kind: PartKind::Step,
        summary: "removes a share of a target's training labels at random, to try out missing labels",
        params: &[
            Param::required("fraction", Kind::Fraction, "the share of training labels to remove"),
            Param::with("seed", Kind::Whole, "0", "which ones; another seed removes others"),
        ],
    },
    make,
};

struct Forget {
    fraction: f64,
    seed: u64,
}

fn make(args: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    if !field.is_target {
        return Err(
            Fault::new("`forget` removes labels, and this field is an input").help("use it in the chain of a target")
        );
    }
    let step = Forget { fraction: args.float("fraction"), seed: args.size("seed") as u64 };
    Ok((Box::new(step), form.clone()))
}

impl Step for Forget {
    fn apply(&self, example: Example, row: Row) -> Result<Example, Fault> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(row.index as u64);
        let draw = Random(random).unit();
        Ok(if row.trains() && draw < self.fraction { Example::Missing } else { example })
    }
}
