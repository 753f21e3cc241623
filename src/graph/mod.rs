//! The typed graph: what a spec means, as a list of values.
//!
//! A graph is a list of values in an order in which each stands behind what it is computed from. A value is either a *leaf*
//! (an input, a target and its presence, a parameter, a running statistic, a dropout mask) or an [`Op`](crate::ops::Op) on earlier
//! values. Every value has a [`Type`](crate::base::Type) with a symbolic batch, and says whether it is *taped*: whether a trained
//! parameter lies below it. Taped values run on an `OwnedTape`, the others on `NoneTape`, so what is frozen has no gradient
//! by its type, and nothing below the lowest trained parameter is ever recorded.
//!
//! A graph is made for one [`Mode`]. In [`Mode::Train`] dropout has a mask and norms that are not frozen use the moments of
//! the batch and *update* their running statistics; in [`Mode::Eval`] there are neither masks nor updates.
//!
//! After it was built, and after every pass, a graph is checked by [`verify`]; the code behind trusts it.

mod builder;
mod print;
mod verify;

pub use builder::Builder;
pub use print::{attributes, print};
pub use verify::verify;

use crate::base::{DType, Type};
use crate::ops::Op;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The position of a value in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ValueId(pub usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Train,
    Eval,
}

/// The largest tile of Winograd's minimal filtering that the convolutions of a training step may take. Larger ones multiply less
/// and round more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Winograd {
    Off,
    #[default]
    F2,
    F4,
}

impl Winograd {
    /// The words of the setting `winograd` of `train`.
    pub const WORDS: &[&str] = &["off", "f2", "f4"];

    pub fn named(word: &str) -> Option<Self> {
        let i = Self::WORDS.iter().position(|w| *w == word)?;
        Some([Self::Off, Self::F2, Self::F4][i])
    }

    /// Outputs of a tile in each direction.
    pub fn tile(self) -> usize {
        [0, 2, 4][self as usize]
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A value that is given, not computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaf {
    /// What an example brings, by the name of the `input`.
    Input(String),
    /// What should come out, by the name of the `target`.
    Target(String),
    /// 1 for each example that has the target of that name, 0 where the label is missing.
    Presence(String),
    /// A parameter, by its path in [`Graph::parameters`].
    Parameter(String),
    /// The mask of the dropout at a path: 0, or 1 / keep with probability `keep`, drawn anew each step.
    Mask { path: String, keep: f64 },
    /// One number for a batch from Beta(`alpha`, `alpha`), drawn anew each step: how much of each example mixup keeps.
    Share { alpha: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Definition {
    Leaf(Leaf),
    Op { op: Op, inputs: Vec<ValueId> },
}

/// One value of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    pub definition: Definition,
    pub ty: Type,
    /// Whether a gradient must pass here: a trained parameter lies below.
    pub taped: bool,
    /// Whether it is a feature map that is stored with its channels last, `[batch, height, width, channels]`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub channels_last: bool,
    /// Whether it follows from parameters that do not move while the graph runs, and is computed once for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub constant: bool,
    /// The path of the layer, head or loss that asked for the value.
    pub path: String,
}

/// How a parameter starts when no weight file gives it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    Zeros,
    Ones,
    /// That number throughout.
    Constant(f64),
    /// Uniform in ± bound.
    Uniform(f64),
    /// Normal with that standard deviation, around 0.
    Normal(f64),
    /// Square matrices of `parts` rows, one below the other: `own` on each diagonal, and the rest of 1 in equal shares beside it.
    Stitch {
        parts: usize,
        own: f64,
    },
}

/// What kind of memory a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Moves down the gradient.
    Trained,
    /// A weight that a `freeze` holds.
    Frozen,
    /// A running statistic of a norm: moved by [`Update`]s, never by a gradient.
    Statistic,
    /// A running statistic that a `freeze` holds.
    FrozenStatistic,
    /// A number of the balancer: moved by it after each step, never by a gradient, a penalty or an average.
    Balance,
}

impl Role {
    /// Whether a `freeze` promises that it does not change.
    pub fn is_frozen(self) -> bool {
        matches!(self, Role::Frozen | Role::FrozenStatistic)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    pub dims: Vec<usize>,
    pub init: Init,
    pub role: Role,
    /// The path of the layer that it belongs to, and the layer's kind, as `freeze` and `tune` select by: `linear`, `norm`, ….
    pub layer: String,
    pub kind: String,
    /// Whether an adapter added it to the layer, so that weights from elsewhere lack it.
    #[serde(default)]
    pub added: bool,
}

impl Parameter {
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }
}

/// After a training step, a running statistic moves: `state ← (1 − momentum)·state + momentum·value·correction`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// The path of the statistic among the parameters.
    pub parameter: String,
    pub value: ValueId,
    pub momentum: f64,
    /// For a variance: elements of a channel in one example. With `n` of them in the batch, the correction is n/(n − 1);
    /// without this it is 1.
    pub bessel: Option<usize>,
}

/// What a graph is run for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The answer of a head.
    Head,
    /// The loss of one task, before its weight.
    Loss,
    /// What training minimises.
    Objective,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    pub name: String,
    pub purpose: Purpose,
    pub value: ValueId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    pub name: String,
    pub mode: Mode,
    pub values: Vec<Value>,
    /// Every parameter that a value reads or an update moves, by path, in the order of the model.
    pub parameters: IndexMap<String, Parameter>,
    pub outputs: Vec<Output>,
    pub updates: Vec<Update>,
    /// What a training step may do.
    #[serde(default, skip_serializing_if = "Winograd::is_default")]
    pub winograd: Winograd,
    /// Whether a training step wants the gradient of each loss, and not that of the objective.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_task: bool,
}

impl Graph {
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    pub fn ids(&self) -> impl DoubleEndedIterator<Item = ValueId> + use<> {
        (0..self.values.len()).map(ValueId)
    }

    /// Whether the value does not move while the graph runs: a parameter that nothing trains, or what follows from such.
    pub fn is_fixed(&self, id: ValueId) -> bool {
        let value = self.value(id);
        match &value.definition {
            Definition::Leaf(Leaf::Parameter(path)) => {
                self.mode == Mode::Eval || self.parameters[path].role.is_frozen()
            }
            Definition::Leaf(_) => false,
            Definition::Op { .. } => value.constant,
        }
    }

    /// The output of that name and purpose.
    pub fn output(&self, name: &str, purpose: Purpose) -> Option<&Output> {
        self.outputs.iter().find(|o| o.name == name && o.purpose == purpose)
    }

    /// For each value, the last value that reads it; `None` for what is kept, and for what nothing reads.
    pub fn last_reads(&self, kept: impl IntoIterator<Item = ValueId>) -> Vec<Option<usize>> {
        let mut last = vec![None; self.values.len()];
        for (i, value) in self.values.iter().enumerate() {
            value.inputs().iter().for_each(|id| last[id.0] = Some(i));
        }
        kept.into_iter().for_each(|id| last[id.0] = None);
        last
    }

    /// Whether a parameter belongs to the layer at a path, or to one below.
    pub fn has_parameters(&self, path: &str) -> bool {
        let below = |layer: &str| layer.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.parameters.values().any(|p| below(&p.layer))
    }

    /// What training minimises, in a graph that has it.
    pub fn objective(&self) -> Option<ValueId> {
        self.outputs.iter().find(|o| o.purpose == Purpose::Objective).map(|o| o.value)
    }

    /// What a training step reports: the objective, every loss, and the value of every update, in that order.
    pub fn step_results(&self) -> Vec<ValueId> {
        let losses = self.losses().map(|o| o.value);
        self.objective().into_iter().chain(losses).chain(self.updates.iter().map(|u| u.value)).collect()
    }

    /// The losses of the tasks, in their order.
    pub fn losses(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().filter(|o| o.purpose == Purpose::Loss)
    }

    /// What a training step takes the gradients of: the objective, or the loss of each task.
    pub fn descended(&self) -> Vec<ValueId> {
        if self.by_task { self.losses().map(|o| o.value).collect() } else { self.objective().into_iter().collect() }
    }

    /// Which values a gradient of this one reaches.
    pub fn reached(&self, from: ValueId) -> Vec<bool> {
        let mut reached = vec![false; self.values.len()];
        reached[from.0] = self.value(from).taped;
        for i in (0..=from.0).rev().filter(|&i| self.values[i].taped) {
            if let (true, Definition::Op { op, inputs }) = (reached[i], &self.values[i].definition) {
                let flows = |(k, id): &(usize, &ValueId)| op.differentiates(*k) && self.value(**id).taped;
                inputs.iter().enumerate().filter(flows).for_each(|(_, id)| reached[id.0] = true);
            }
        }
        reached
    }

    /// How many of these values reach each trained parameter, by path, in the order of the graph.
    pub fn reach(&self, values: &[ValueId]) -> IndexMap<&str, usize> {
        let reached: Vec<Vec<bool>> = values.iter().map(|&id| self.reached(id)).collect();
        let count = |(i, value): (usize, &Value)| match &value.definition {
            Definition::Leaf(Leaf::Parameter(path)) if value.taped => {
                let (path, _) = self.parameters.get_key_value(path)?;
                Some((path.as_str(), reached.iter().filter(|r| r[i]).count()))
            }
            _ => None,
        };
        self.values.iter().enumerate().filter_map(count).collect()
    }

    /// Floating-point operations of one example's forward pass.
    pub fn flops(&self) -> u64 {
        self.values.iter().map(|v| self.value_flops(v)).fold(0, u64::saturating_add)
    }

    /// Floating-point operations of one example's training step: a gradient costs twice what its value does.
    pub fn step_flops(&self) -> u64 {
        let sum = |taped: Vec<&Value>| taped.iter().map(|v| self.value_flops(v)).fold(0, u64::saturating_add);
        let below = |id: ValueId| {
            let reached = self.reached(id);
            sum(self.values.iter().zip(reached).filter(|(_, reached)| *reached).map(|(v, _)| v).collect())
        };
        let backward = match self.by_task {
            true => self.descended().into_iter().map(below).fold(0, u64::saturating_add),
            false => sum(self.values.iter().filter(|v| v.taped).collect()),
        };
        self.flops().saturating_add(backward.saturating_mul(2))
    }

    /// Floating-point operations of one value for one example; none for what is computed once for all.
    pub fn value_flops(&self, value: &Value) -> u64 {
        match &value.definition {
            _ if value.constant => 0,
            Definition::Leaf(_) => 0,
            Definition::Op { op, inputs } => {
                let types: Vec<Type> = inputs.iter().map(|&i| self.value(i).ty.clone()).collect();
                op.flops(&types, &value.ty)
            }
        }
    }
}

impl Value {
    /// Whether it is a feature map: numbers of `[batch, channels, height, width]`.
    pub fn is_map(&self) -> bool {
        self.ty.dtype == DType::F32 && self.ty.is_batched() && self.ty.rank() == 4
    }

    /// Whether it is computed, and each of its rows from the same row of what is read.
    pub fn is_by_row(&self) -> bool {
        matches!(&self.definition, Definition::Op { op, .. } if self.ty.is_batched() && op.is_by_row())
    }

    /// The values this one is computed from.
    pub fn inputs(&self) -> &[ValueId] {
        match &self.definition {
            Definition::Leaf(_) => &[],
            Definition::Op { inputs, .. } => inputs,
        }
    }
}
