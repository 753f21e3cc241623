//! How the rows of an epoch are chosen among several sources: `train { sample: … }`.

use super::Model;
use crate::base::signature::{Args, Call, Kind, Param, PartKind, Signature, Value};
use crate::base::{Diagnostic, Span};

pub static BY_SIZE: Signature = Signature {
    name: "by_size",
    kind: PartKind::Sampling,
    summary: "each source by its number of rows; at a temperature of 1 each row once an epoch",
    params: &[Param::with(
        "temperature",
        Kind::Positive,
        "1",
        "a source of n rows counts n^(1 / temperature): more evens the sources out",
    )],
};

pub static WEIGHTS: Signature = Signature {
    name: "weights",
    kind: PartKind::Sampling,
    summary: "each source by a weight, whatever its size: `weights(drives: 2, marked: 1)`",
    params: &[Param::required(
        "sources",
        Kind::Named(&Kind::NonNegative),
        "the names of the data, each with its weight",
    )],
};

pub static ROUND_ROBIN: Signature = Signature {
    name: "round_robin",
    kind: PartKind::Sampling,
    summary: "the sources take turns: each batch is of one source, in the order of the data",
    params: &[],
};

/// How rows are chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Sampling {
    /// Each row once.
    Once,
    /// A source of n rows counts n^exponent.
    Power(f64),
    /// A weight for each source, in the order of the data.
    Weights(Vec<f64>),
    RoundRobin,
}

impl Model {
    /// How the rows of an epoch are chosen.
    pub fn sampling(&self) -> Sampling {
        let call = self.train.part("sample");
        match call.signature.name {
            "weights" => {
                let weights = weights(call);
                let weight = |name: &str| {
                    weights.iter().find(|(given, ..)| *given == name).map_or(0.0, |(_, weight, _)| *weight)
                };
                Sampling::Weights(self.data.iter().map(|data| weight(&data.name)).collect())
            }
            "round_robin" => Sampling::RoundRobin,
            _ => match call.args.float("temperature") {
                1.0 => Sampling::Once,
                temperature => Sampling::Power(1.0 / temperature),
            },
        }
    }

    /// Whether only rows that have every label are trained on.
    pub fn trains_on_complete_rows(&self) -> bool {
        self.train.flag("complete")
    }
}

/// The weights of a call of `weights`, by the names of the data, and the place of each name.
fn weights(call: &Call) -> Vec<(&str, f64, Span)> {
    let list = call.args.list("sources").iter();
    list.filter_map(|arg| match &arg.value {
        Value::Named(name, weight) => Some((name.as_str(), weight.as_float()?, arg.span)),
        _ => None,
    })
    .collect()
}

/// What is wrong with the choice, for sources of these names.
pub fn check(train: &Args, sources: &[String]) -> Vec<Diagnostic> {
    let call = train.part("sample");
    let name = call.signature.name;
    let is_default = name == BY_SIZE.name && call.args.float("temperature") == 1.0;
    if sources.len() == 1 && !is_default {
        let message = format!("`{name}` chooses between sources, and there is one");
        return vec![Diagnostic::error(message).at(call.span).help("leave `sample` out")];
    }
    if name != WEIGHTS.name || sources.is_empty() {
        return vec![];
    }
    let (given, mut wrong) = (weights(call), vec![]);
    for (name, _, span) in given.iter().filter(|(name, ..)| !sources.iter().any(|s| s == name)) {
        let diagnostic = Diagnostic::error(format!("there is no data `{name}`")).at(*span);
        wrong.push(diagnostic.suggest(name, sources.iter().map(String::as_str)));
    }
    for source in sources.iter().filter(|s| !given.iter().any(|(name, ..)| name == s)) {
        let diagnostic = Diagnostic::error(format!("`weights` does not say how much `{source}` counts"));
        wrong.push(diagnostic.at(call.span).help(format!("`{source}: 0` leaves it out")));
    }
    if wrong.is_empty() && given.iter().all(|(_, weight, _)| *weight == 0.0) {
        let diagnostic = Diagnostic::error("every weight is 0, so there is nothing to train on").at(call.span);
        wrong.push(diagnostic.help("give one of them a weight above 0"));
    }
    wrong
}
