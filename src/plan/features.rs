//! Whether features are cached in an epoch, by the setting `cache` of `train`; see [`frozen`].
//!
//! All that is decided here follows from the spec and the epoch, never from what a machine has: a run that is resumed decides as
//! it did before, and ends with the same bits.

use super::{bytes, flop};
use crate::base::{Diagnostic, Result, Type};
use crate::graph::{Graph, Mode};
use crate::lower::lower;
use crate::model::Model;
use crate::passes::frozen::{self, Cut, Stored, Terms};
use serde::{Deserialize, Serialize};

/// What a number is stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    F32,
    /// The upper half of an f32, rounded to nearest, halves to even.
    Bf16,
}

impl Number {
    pub fn bytes(self) -> usize {
        match self {
            Number::F32 => 4,
            Number::Bf16 => 2,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Number::F32 => "f32",
            Number::Bf16 => "bf16",
        }
    }
}

/// What becomes of the values below the frozen boundary in an epoch.
#[derive(Clone, Debug, PartialEq)]
pub enum Caching {
    /// They are computed once and stored.
    On(Box<Cut>, Number),
    /// They are computed in every step, and why.
    Off(String),
}

/// What a plan says of cached features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Features {
    Cached {
        values: Vec<Line>,
        number: Number,
        /// Of an example.
        bytes: u64,
        /// Operations on an example that are done once and not in every epoch.
        flops: u64,
    },
    /// Nothing is cached, and why.
    Off { none: String },
}

/// A stored value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub of: String,
    pub shape: String,
}

/// Unasked, a file is written where it saves at least one part in so many of a training step.
const WORTHWHILE: u64 = 10;

/// What is cached in an epoch, counted from 0. `random` says which inputs differ from epoch to epoch.
///
/// A cache that the spec demands and that cannot be is an error in the first epoch. Later a freeze may have ended.
pub fn caching(model: &Model, epoch: u64, random: &dyn Fn(&str) -> bool) -> Result<Caching> {
    let [train, eval] = [lower(model, Mode::Train, epoch)?, lower(model, Mode::Eval, 0)?];
    of_graphs(model, epoch, [&train, &eval], random)
}

/// The same, where the graphs are there as lowering made them.
pub fn of_graphs(model: &Model, epoch: u64, graphs: [&Graph; 2], random: &dyn Fn(&str) -> bool) -> Result<Caching> {
    let setting = model.train.text("cache");
    let (number, demanded) = match setting {
        "off" => return Ok(Caching::Off("`cache: off`".into())),
        "bf16" => (Number::Bf16, true),
        word => (Number::F32, word == "f32"),
    };
    if !demanded && lasts(model, epoch) < 2 {
        return Ok(Caching::Off("what is frozen is frozen so for one epoch only".into()));
    }
    let terms = Terms { bytes: number.bytes() as u64, demanded, random };
    match frozen::cut(graphs[0], graphs[1], &terms) {
        Ok(cut) if !demanded && cut.features.flops().saturating_mul(WORTHWHILE) < graphs[0].step_flops() => {
            let [saved, whole] = [cut.features.flops(), graphs[0].step_flops()].map(flop);
            Ok(Caching::Off(format!("it would save {saved} of the {whole} of a training step")))
        }
        Ok(cut) => Ok(Caching::On(cut.into(), number)),
        Err(why) if demanded && epoch == 0 => {
            let diagnostic = Diagnostic::error(format!("no features can be cached: {why}"));
            let diagnostic = model.train.span("cache").into_iter().fold(diagnostic, Diagnostic::at);
            Err(diagnostic.help("freeze what is to be computed once, or write `cache: auto`").into())
        }
        Err(why) => Ok(Caching::Off(why)),
    }
}

/// For how many epochs of the whole run what is frozen in this one is frozen so.
fn lasts(model: &Model, epoch: u64) -> u64 {
    let ends = model.turns();
    let since = ends.iter().copied().filter(|end| *end <= epoch).max().unwrap_or(0);
    let until = ends.into_iter().find(|end| *end > epoch).unwrap_or(u64::MAX);
    until.min(model.train.size("epochs") as u64).saturating_sub(since)
}

impl Caching {
    pub fn cut(&self) -> Option<&Cut> {
        if let Caching::On(cut, _) = self { Some(cut) } else { None }
    }

    /// For the plan of a model; nothing where nothing is frozen and nobody asked.
    pub fn told(&self, train: &Graph) -> Option<Features> {
        match self {
            Caching::On(cut, number) => Some(Features::Cached {
                values: cut.values.iter().map(|v| Line { of: v.path.clone(), shape: v.ty.example() }).collect(),
                number: *number,
                bytes: (cut.width() * number.bytes()) as u64,
                flops: cut.features.flops(),
            }),
            Caching::Off(why) => {
                train.parameters.values().any(|p| p.role.is_frozen()).then(|| Features::Off { none: why.clone() })
            }
        }
    }
}

impl Features {
    /// One line for people.
    pub fn line(&self) -> String {
        match self {
            Features::Cached { values, number, bytes: size, flops } => {
                let values: Vec<String> = values.iter().map(|v| format!("`{}` {}", v.of, v.shape)).collect();
                let (size, flops) = (bytes(*size), flop(*flops));
                format!("features: {} in {}, {size} an example in place of {flops}", values.join(", "), number.name())
            }
            Features::Off { none } => format!("features: none are cached, {none}"),
        }
    }
}

/// The paths of stored values, for people: `` `trunk.parts.3` ``.
pub fn paths(values: &[Stored]) -> String {
    values.iter().map(|v| format!("`{}`", v.path)).collect::<Vec<_>>().join(", ")
}

/// The rows of a pass that computes features: as many as have 4 MB of the largest value, from 8 to 64.
pub fn rows(features: &Graph) -> usize {
    let size = |ty: &Type| if ty.is_batched() { ty.elements(1) } else { 0 };
    let largest = features.values.iter().map(|v| size(&v.ty)).max().unwrap_or(1);
    ((1 << 20) / largest.max(1)).clamp(8, 64)
}
