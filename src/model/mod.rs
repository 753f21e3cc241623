//! What a spec means before shapes are known: every name resolved, every argument bound, every layer with its path.
//!
//! [`resolve`] turns a syntax tree into a [`Model`], or into everything that is wrong with it. What needs shapes (whether
//! layers fit, class counts, whether a freeze meets anything) is checked by the next stage, [`lower`](crate::lower).

mod bind;
mod catalog;
mod depth;
mod expand;
mod library;
mod overrides;
mod phase;
mod print;
mod project;
mod reference;
mod resolve;
mod sampling;
mod select;
mod settings;
mod single;
mod spec;
mod weigh;

pub use catalog::{catalog, pages};
pub use expand::{LayerNode, Published, Tree};
pub use overrides::override_setting;
pub use phase::Phase;
pub use print::{call as print_call, print};
pub use project::Project;
pub use reference::reference;
pub use resolve::resolve;
pub use sampling::Sampling;
pub use select::Selection;
pub use settings::{LearningRate, TRAIN};
pub use spec::{Failure, Spec, read_spec};

use crate::base::Span;
use crate::base::signature::{Args, Call};
use crate::data::{DataSpec, FieldType, Split};
use crate::parts::cell::Hold;
use crate::parts::coding::Coding;
use crate::parts::losses;
use crate::weights::Rules;

/// A complete, typed model.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: String,
    pub inputs: Vec<Port>,
    pub targets: Vec<Port>,
    /// Backbones and heads, each behind what it reads.
    pub networks: Vec<Network>,
    pub freezes: Vec<Freeze>,
    pub tunes: Vec<Tune>,
    /// The tasks: what `minimize` adds up.
    pub terms: Vec<Term>,
    pub balance: Call,
    pub measures: Vec<Measure>,
    pub data: Vec<DataSpec>,
    /// Bound by [`TRAIN`].
    pub train: Args,
    /// Bound by the settings of `serve`.
    pub serve: Args,
}

/// An `input` or a `target`.
#[derive(Clone, Debug)]
pub struct Port {
    pub name: String,
    pub ty: FieldType,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    Backbone,
    Head,
}

/// A `backbone` or a `head`.
#[derive(Clone, Debug)]
pub struct Network {
    pub name: String,
    pub kind: NetworkKind,
    /// What it reads: inputs, networks above, or taps such as `trunk.layer2`. Several are joined along the features.
    pub sources: Vec<Reference>,
    /// Where its parameters start from, when they are not drawn at random.
    pub weights: Option<Weights>,
    pub body: Tree,
    /// The library backbones in it.
    pub published: Vec<Published>,
    pub span: Span,
}

/// A name or path, and where it stands.
#[derive(Clone, Debug)]
pub struct Reference {
    pub path: String,
    pub span: Span,
}

/// Where a network's parameters come from.
#[derive(Clone, Debug)]
pub struct Weights {
    pub from: WeightsFrom,
    /// How the names of the file become paths.
    pub rules: Rules,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum WeightsFrom {
    /// A file of weights, relative to the spec.
    File(String),
    /// The newest training run of a model.
    Run {
        model: String,
        last: bool,
        /// Which network of it, when not the one of the same name.
        network: Option<String>,
    },
}

/// One selection of a `freeze`: what it does to norms, and until which epoch it holds.
#[derive(Clone, Debug)]
pub struct Freeze {
    pub selection: Selection,
    pub norm: Hold,
    pub until: Option<u64>,
}

/// One selection of a `tune`, with what it changes.
#[derive(Clone, Debug)]
pub struct Tune {
    pub selection: Selection,
    pub lr: Option<LearningRate>,
    pub weight_decay: Option<f64>,
    /// What the rate is multiplied by for each layer that lies behind; see [`Model::depth`].
    pub layer_decay: Option<f64>,
    /// The gradient gets this times the distance from the start.
    pub l2sp: Option<f64>,
    pub adapt: Option<Call>,
}

/// One loss of `minimize`: a task.
#[derive(Clone, Debug)]
pub struct Term {
    /// The name of the head, or of head and loss when a head has several.
    pub name: String,
    pub weight: f64,
    pub loss: Call,
    pub head: String,
    pub target: String,
    pub span: Span,
}

/// One metric of `measure`.
#[derive(Clone, Debug)]
pub struct Measure {
    /// `accuracy(label)`: how tables and logs call it.
    pub name: String,
    pub metric: Call,
    pub head: String,
    pub target: String,
    pub span: Span,
}

impl Model {
    pub fn target(&self, name: &str) -> Option<&Port> {
        self.targets.iter().find(|t| t.name == name)
    }

    pub fn heads(&self) -> impl Iterator<Item = &Network> {
        self.networks.iter().filter(|n| n.kind == NetworkKind::Head)
    }

    /// How the values of a head stand for the classes of a target: as its loss takes them.
    pub fn coding(&self, head: &str, target: &str) -> Coding {
        let own = |term: &&Term| term.head == head && term.target == target;
        let term = self.terms.iter().find(own).or_else(|| self.terms.iter().find(|term| term.head == head));
        let loss = term.and_then(|term| losses::find(term.loss.signature.name));
        loss.map_or(Coding::Scores, |loss| loss.takes.coding())
    }

    /// Whether training rows have another value of an input each epoch, in some of the data.
    pub fn is_drawn(&self, input: &str) -> bool {
        let mut fields = self.data.iter().flat_map(|data| &data.fields);
        fields.any(|field| field.name == input && field.draws_on(Split::Train))
    }

    /// The epochs, counted from 0, from which on another graph is trained than before; the first is 0.
    pub fn turns(&self) -> Vec<u64> {
        let last = self.train.size("epochs") as u64;
        let mut epochs: Vec<u64> = self.freezes.iter().filter_map(|f| f.until).filter(|end| *end < last).collect();
        epochs.extend(self.phases().iter().map(|phase| phase.start));
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }
}
