//! What becomes of the values below the frozen boundary in an epoch, as it is decided ([`caching`](super::caching)) and as plans tell it.

use super::{bytes, flop};
use crate::base::Type;
use crate::graph::Graph;
use crate::passes::frozen::{Cut, Stored};
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
    /// They are computed once and stored; of training rows, in so many variants, which the epochs take in turn.
    On { cut: Box<Cut>, number: Number, variants: Option<u64> },
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
        /// How often each training row is stored, each time drawn anew; absent where nothing is drawn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        variants: Option<u64>,
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

impl Caching {
    pub fn cut(&self) -> Option<&Cut> {
        if let Caching::On { cut, .. } = self { Some(cut) } else { None }
    }

    /// For the plan of a model; nothing where nothing is frozen and nobody asked.
    pub fn told(&self, train: &Graph) -> Option<Features> {
        match self {
            Caching::On { cut, number, variants } => Some(Features::Cached {
                values: cut.values.iter().map(|v| Line { of: v.path.clone(), shape: v.ty.example() }).collect(),
                number: *number,
                bytes: (cut.width() * number.bytes()) as u64,
                flops: cut.features.flops(),
                variants: *variants,
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
            Features::Cached { values, number, bytes: size, flops, variants } => {
                let values: Vec<String> = values.iter().map(|v| format!("`{}` {}", v.of, v.shape)).collect();
                let (size, flops) = (bytes(*size), flop(*flops));
                let variants = variants.map(|k| format!(", in {k} variants of each training row")).unwrap_or_default();
                let (of, number) = (values.join(", "), number.name());
                format!("features: {of} in {number}, {size} an example in place of {flops}{variants}")
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
