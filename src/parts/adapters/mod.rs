//! Adapters: ways to train a network by a few numbers while its own weights stay, `tune SELECTION (adapt: …)`.
//!
//! The parameters of a selection with an adapter are frozen, and norms use and keep their running statistics, but for what
//! the adapter trains. Dropout stays on, since the layers are trained, if by other numbers than their own. A `freeze` holds the
//! adapter too.

pub mod bitfit;
pub mod bottleneck;
pub mod lora;

use crate::base::signature::{Call, Signature};

/// A bound adapter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Adapter {
    Bitfit,
    Lora(lora::Lora),
    Bottleneck { width: usize },
}

struct Entry {
    signature: &'static Signature,
    build: fn(&Call) -> Adapter,
    /// What it can adapt, for whoever selected nothing of it.
    adapts: &'static str,
}

/// Every adapter.
static LIST: &[Entry] = &[
    Entry {
        signature: &bitfit::SIGNATURE,
        build: |_| Adapter::Bitfit,
        adapts: "`bitfit` trains the biases of a selection, and it has none",
    },
    Entry {
        signature: &lora::SIGNATURE,
        build: lora::build,
        adapts: "`lora` adapts `linear`, `attention`, `encoder`, and convolutions in one group",
    },
    Entry {
        signature: &bottleneck::SIGNATURE,
        build: bottleneck::build,
        adapts: "`bottleneck` stands in `encoder` and in `residual`",
    },
];

pub fn signatures() -> Vec<&'static Signature> {
    LIST.iter().map(|entry| entry.signature).collect()
}

fn entry(call: &Call) -> &'static Entry {
    let entry = LIST.iter().find(|entry| entry.signature.name == call.signature.name);
    entry.unwrap_or_else(|| panic!("bug: `{}` passed the checker as an adapter", call.signature.name))
}

/// The adapter that a checked call names.
pub fn build(call: &Call) -> Adapter {
    (entry(call).build)(call)
}

/// What the adapter of a call can adapt, as a sentence for a message.
pub fn adapts(call: &Call) -> &'static str {
    entry(call).adapts
}

impl Adapter {
    /// Whether it trains an own parameter of the layer it adapts, by the parameter's name below the layer.
    pub fn trains(self, name: &str) -> bool {
        match self {
            Adapter::Bitfit => bitfit::trains(name),
            Adapter::Lora(_) | Adapter::Bottleneck { .. } => false,
        }
    }
}
