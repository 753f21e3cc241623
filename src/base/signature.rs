//! Tables that say what a name of the language accepts, and the values bound to them.
//!
//! One table serves the checker, did-you-mean, `mtlc explain` and the language reference, so these cannot disagree. Layers,
//! losses, metrics, optimizers, schedules, balancers, data sources and preparation steps all describe themselves this way.

use super::span::Span;
use indexmap::IndexMap;

/// What kinds of thing a spec can name. Each kind is one list in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartKind {
    Layer,
    Backbone,
    Loss,
    Metric,
    Optimizer,
    Schedule,
    Balancer,
    Source,
    Column,
    Step,
    Weights,
    Adapter,
    Phase,
    Sampling,
    /// Not a part but a place for settings: `train { … }`, `serve { … }`, `tune … (…)`, the options of a backbone.
    Settings,
}

impl PartKind {
    /// The noun used in messages.
    pub fn noun(self) -> &'static str {
        match self {
            PartKind::Layer => "layer",
            PartKind::Backbone => "library backbone",
            PartKind::Loss => "loss",
            PartKind::Metric => "metric",
            PartKind::Optimizer => "optimizer",
            PartKind::Schedule => "schedule",
            PartKind::Balancer => "balancer",
            PartKind::Source => "data source",
            PartKind::Column => "column",
            PartKind::Step => "preparation step",
            PartKind::Weights => "source of weights",
            PartKind::Adapter => "adapter",
            PartKind::Phase => "phase",
            PartKind::Sampling => "choice of rows",
            PartKind::Settings => "settings",
        }
    }
}

/// A name of the language: what it means and what it accepts.
#[derive(Debug)]
pub struct Signature {
    pub name: &'static str,
    pub kind: PartKind,
    /// One sentence without a full stop, for tables.
    pub summary: &'static str,
    /// Positional arguments bind in this order.
    pub params: &'static [Param],
}

#[derive(Debug)]
pub struct Param {
    pub name: &'static str,
    pub kind: Kind,
    pub default: Default,
    pub doc: &'static str,
}

impl Param {
    /// An argument that must be given.
    pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, default: Default::Required, doc }
    }

    /// An argument with a default, written as a spec would write it.
    pub const fn with(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        Self { name, kind, default: Default::Is(default), doc }
    }

    /// An argument that may be absent.
    pub const fn optional(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, default: Default::Absent, doc }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    Required,
    Absent,
    /// The source text of the default.
    Is(&'static str),
}

/// What an argument may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// An integer ≥ 1.
    Count,
    /// An integer ≥ 0.
    Whole,
    /// Any integer.
    Integer,
    /// A finite number.
    Number,
    /// A finite number > 0.
    Positive,
    /// A finite number ≥ 0.
    NonNegative,
    /// A number in [0, 1).
    Fraction,
    /// A number given as a multiple, `0.1x`.
    Factor,
    /// A time, `2ms` or `1s`.
    Duration,
    /// `true` or `false`.
    Flag,
    /// A quoted string.
    Text,
    /// One of these bare words.
    Word(&'static [&'static str]),
    /// A list in brackets.
    List(&'static Kind),
    /// Takes every remaining positional argument, as a list.
    Rest(&'static Kind),
    /// Takes every argument whose name is no parameter's, as a list of [`Value::Named`].
    Named(&'static Kind),
    /// The first of these that fits.
    Either(&'static [Kind]),
    /// A part of that kind, named with its own arguments: `adamw(lr: 1e-3)`.
    Part(PartKind),
    /// Layers joined by `->`, or a brace body of named stages.
    Chain,
    /// The name of a head, an input or a tap.
    Prediction,
    /// The name of a target.
    Target,
}

impl Kind {
    /// How a message or a table describes it.
    pub fn describe(&self) -> String {
        match self {
            Kind::Count => "an integer of at least 1".into(),
            Kind::Whole => "an integer of at least 0".into(),
            Kind::Integer => "an integer".into(),
            Kind::Number => "a number".into(),
            Kind::Positive => "a number above 0".into(),
            Kind::NonNegative => "a number of at least 0".into(),
            Kind::Fraction => "a number from 0 up to, but not including, 1".into(),
            Kind::Factor => "a multiple such as `0.1x`".into(),
            Kind::Duration => "a time such as `2ms`".into(),
            Kind::Flag => "`true` or `false`".into(),
            Kind::Text => "a quoted string".into(),
            Kind::Word(words) => words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(" or "),
            Kind::List(kind) => format!("a list in brackets, each {}", kind.describe()),
            Kind::Rest(kind) => format!("any number of arguments, each {}", kind.describe()),
            Kind::Named(kind) => format!("any number of names, each with {}", kind.describe()),
            Kind::Either(kinds) => kinds.iter().map(Kind::describe).collect::<Vec<_>>().join(", or "),
            Kind::Part(kind) => with_article(kind.noun()),
            Kind::Chain => "layers joined by `->`".into(),
            Kind::Prediction => "the name of a head".into(),
            Kind::Target => "the name of a target".into(),
        }
    }
}

/// A noun behind `a` or `an`.
pub fn with_article(noun: &str) -> String {
    format!("{} {noun}", if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" })
}

/// An argument's value, after its expression was evaluated and checked against its [`Kind`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(i64),
    Float(f64),
    /// `0.1x`.
    Factor(f64),
    /// In milliseconds.
    Duration(f64),
    Flag(bool),
    Text(String),
    /// A bare word of a [`Kind::Word`], or the name of a head or target.
    Word(String),
    List(Vec<Arg>),
    /// An argument of a [`Kind::Named`]; the place is that of its value.
    Named(String, Box<Value>),
    Part(Call),
    /// Layers: the index of this chain among the chains of the call.
    Chain(usize),
}

/// A value and the place that gave it; a default has the place of its call.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    pub value: Value,
    pub span: Span,
}

/// A named part with its bound arguments.
#[derive(Clone, Debug)]
pub struct Call {
    pub signature: &'static Signature,
    pub args: Args,
    pub span: Span,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.signature.name == other.signature.name && self.args == other.args
    }
}

/// The bound arguments of one call: every required and defaulted parameter is present and of its kind.
///
/// The accessors therefore panic only on a bug of ours: a part that asks for a parameter its signature does not declare so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Args(pub IndexMap<&'static str, Arg>);

impl Args {
    pub fn get(&self, name: &str) -> Option<&Arg> {
        self.0.get(name)
    }

    fn bound(&self, name: &str) -> &Value {
        &self.0.get(name).unwrap_or_else(|| panic!("bug: no argument `{name}` in {:?}", self.0.keys())).value
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The place of an argument, if it is present.
    pub fn span(&self, name: &str) -> Option<Span> {
        self.0.get(name).map(|arg| arg.span)
    }

    /// A `Count`, `Whole` or `Integer`.
    pub fn int(&self, name: &str) -> i64 {
        self.bound(name).as_int().unwrap_or_else(|| panic!("bug: argument `{name}` is no integer"))
    }

    /// A `Count` or `Whole`.
    pub fn size(&self, name: &str) -> usize {
        usize::try_from(self.int(name)).unwrap_or_else(|_| panic!("bug: argument `{name}` is negative"))
    }

    pub fn float(&self, name: &str) -> f64 {
        self.bound(name).as_float().unwrap_or_else(|| panic!("bug: argument `{name}` is no number"))
    }

    pub fn flag(&self, name: &str) -> bool {
        match self.bound(name) {
            Value::Flag(flag) => *flag,
            other => panic!("bug: argument `{name}` is {other:?}, no flag"),
        }
    }

    /// A `Text`, `Word`, `Prediction` or `Target`.
    pub fn text(&self, name: &str) -> &str {
        self.bound(name).as_text().unwrap_or_else(|| panic!("bug: argument `{name}` is no text"))
    }

    pub fn list(&self, name: &str) -> &[Arg] {
        match self.bound(name) {
            Value::List(list) => list,
            other => panic!("bug: argument `{name}` is {other:?}, no list"),
        }
    }

    pub fn part(&self, name: &str) -> &Call {
        match self.bound(name) {
            Value::Part(call) => call,
            other => panic!("bug: argument `{name}` is {other:?}, no part"),
        }
    }
}

impl Value {
    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(n) = self { Some(*n) } else { None }
    }

    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Float(x) | Value::Factor(x) | Value::Duration(x) => Some(*x),
            _ => None,
        }
    }

    pub fn as_part(&self) -> Option<&Call> {
        if let Value::Part(call) = self { Some(call) } else { None }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Word(text) => Some(text),
            _ => None,
        }
    }
}
