//! The tables of the language reference, in Markdown, made from the signatures that also check specs.

use super::{catalog, pages};
use crate::base::signature::{Default as DefaultValue, Kind, Param, PartKind, Signature};
use std::fmt::Write;

/// One table a page: a row for each part, and below it a row for each of its arguments, in the order in which they bind.
pub fn reference() -> String {
    let mut text = String::new();
    for (title, kind) in pages() {
        let _ = write!(text, "\n### {title}\n\n{}\n\n", introduction(*kind));
        text.push_str("| name | takes | default | meaning |\n|---|---|---|---|\n");
        catalog(*kind).into_iter().for_each(|signature| part(&mut text, signature));
    }
    text
}

/// Where the parts of a page stand in a spec.
fn introduction(kind: PartKind) -> &'static str {
    match kind {
        PartKind::Layer => "In the chains of `backbone`, `head` and `block`.",
        PartKind::Backbone => {
            "Like layers, in the chain of a `backbone`, and usually all of it. `mtlc explain NAME` shows the layers."
        }
        PartKind::Loss => "In the sum behind `minimize`. The first two arguments are a head and a target.",
        PartKind::Metric => "In the list behind `measure`. The first two arguments are a head and a target.",
        PartKind::Balancer => "Behind `balance`. Without it, `uniform`.",
        PartKind::Optimizer => "As `optimizer` in `train`.",
        PartKind::Schedule => "As `schedule` in `train`.",
        PartKind::Source => "Behind the `=` of `data`.",
        PartKind::Column => "First in the chain of a field of `data`.",
        PartKind::Step => "Behind the column, in the chain of a field of `data`.",
        PartKind::Weights => "As `weights` of a `backbone` or a `head`, in place of a file.",
        PartKind::Adapter => "As `adapt` in `tune`.",
        PartKind::Phase => "In the list `phases` of `train`.",
        PartKind::Sampling => "As `sample` in `train`, where there are several sources.",
        PartKind::Settings => {
            "The keys of `train { … }`, `serve { … }`, `freeze … (…)` and `tune … (…)`, and the options of a `backbone`."
        }
    }
}

fn part(text: &mut String, signature: &Signature) {
    let _ = writeln!(text, "| **`{}`** | | | {} |", signature.name, cell(signature.summary));
    for param in signature.params {
        let (kind, default) = (cell(&takes(&param.kind)), default(param));
        let _ = writeln!(text, "| `{}` | {kind} | {default} | {} |", param.name, cell(param.doc));
    }
}

/// What an argument may be, as briefly as a table wants it.
fn takes(kind: &Kind) -> String {
    match kind {
        Kind::Count => "integer ≥ 1".into(),
        Kind::Whole => "integer ≥ 0".into(),
        Kind::Integer => "integer".into(),
        Kind::Number => "number".into(),
        Kind::Positive => "number > 0".into(),
        Kind::NonNegative => "number ≥ 0".into(),
        Kind::Fraction => "0 ≤ number < 1".into(),
        Kind::Factor => "multiple, `0.1x`".into(),
        Kind::Duration => "time, `2ms`".into(),
        Kind::Flag => "`true`, `false`".into(),
        Kind::Text => "text".into(),
        Kind::Word(words) => words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "),
        Kind::List(kind) => format!("list of {}", takes(kind)),
        Kind::Rest(kind) => format!("any number of: {}", takes(kind)),
        Kind::Named(kind) => format!("any number of: a name and {}", takes(kind)),
        Kind::Either(kinds) => kinds.iter().map(takes).collect::<Vec<_>>().join(", or "),
        Kind::Part(kind) => kind.noun().into(),
        Kind::Chain => "layers".into(),
        Kind::Prediction | Kind::Target => "name".into(),
    }
}

fn default(param: &Param) -> String {
    match param.default {
        DefaultValue::Required => "required".into(),
        DefaultValue::Absent => String::new(),
        DefaultValue::Is(text) => format!("`{}`", cell(text)),
    }
}

/// The text with its bars escaped, since a bar ends a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
