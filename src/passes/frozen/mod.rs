//! Cuts the graphs of a model at the frozen boundary, so that what lies below is computed once per example and not in every epoch.
//!
//! In come the graph of a training step and that of an evaluation, as lowering made them. The *region* is what follows from inputs
//! and frozen parameters alone: nothing there is taped, no mask, label or moment of a batch has a part in it, and every op treats
//! the rows one by one. Each value of the region is either computed once, or again in every epoch. Again costs its operations;
//! once costs nothing, but what is read from there must be stored, which costs [`WORTH`] operations a byte; and so does an input
//! that is still read. The cheapest choice is a cut of a network, see [`min_cut`]: it stores a pooled vector in place of the map
//! before it, and the map before it was enlarged. Where it stores nothing, there is nothing to gain.
//!
//! Out come three graphs, each optimised: from inputs to the stored values, as an evaluation computes them; and what is left of the
//! two others, in which stored values are inputs.

mod min_cut;

use super::dead_code::sweep;
use super::rewrite::{push, rewrite};
use super::{optimise, run, up_to};
use crate::base::{DType, Type};
use crate::graph::{Definition, Graph, Leaf, Mode, Output, Purpose, Value, ValueId, Winograd};
use crate::ops::Op;
use min_cut::{NEVER, Network};

/// How many operations take as long as reading a byte that is stored: a core computes some fifty in a nanosecond, and a disk gives
/// about a byte in it.
pub const WORTH: u64 = 64;

/// The graphs of a model on both sides of its frozen boundary.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// What is stored of each example, in this order.
    pub values: Vec<Stored>,
    /// From inputs to what is stored, as an evaluation runs. Each stored value is an output.
    pub features: Graph,
    /// A training step from what is stored.
    pub train: Graph,
    /// An evaluation from what is stored; none where it computes the values in another way than training.
    pub eval: Option<Graph>,
}

/// A value that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The input of the cut graphs that stands for it.
    pub name: String,
    /// The path of the layer that computes it.
    pub path: String,
    pub ty: Type,
}

/// What decides about a cut besides the graphs.
pub struct Terms<'a> {
    /// Bytes of a stored number.
    pub bytes: u64,
    /// Whether to cut also where it gains nothing.
    pub demanded: bool,
    /// Operations that must be saved for each byte that is read: [`WORTH`], or more where they are not saved in every epoch.
    pub worth: u64,
    /// Whether the values of an input differ from one epoch to the next.
    pub random: &'a dyn Fn(&str) -> bool,
}

/// The input that stands for a value computed at `path`. No input of a spec can have such a name.
fn name(path: &str, taken: &[Stored]) -> String {
    let again = taken.iter().filter(|stored| stored.path == path).count();
    if again == 0 { format!("features({path})") } else { format!("features({path}, {})", again + 1) }
}

/// Cuts the graphs, or says in words why not.
pub fn cut(train: &Graph, eval: &Graph, terms: &Terms) -> Result<Cut, String> {
    // Values that are computed twice would be stored twice, and heads that nothing asks for would ask for values.
    let [train, eval] = [train, eval].map(|graph| run(graph.clone(), up_to("common_subexpressions").unwrap_or(&[])).0);
    if !train.parameters.values().any(|p| p.role.is_frozen()) {
        return Err("no layer is frozen".into());
    }
    let region = Region::of(&train, terms.random);
    let stored = region.stored(&train, terms);
    if stored.is_empty() {
        return Err(region.obstacle(&train, terms).unwrap_or_else(|| WORTHLESS.into()));
    }
    let mut features = train.clone();
    features.mode = Mode::Eval;
    features.winograd = Winograd::default();
    features.updates.clear();
    features.outputs.clear();
    let mut values: Vec<Stored> = vec![];
    for &value in &stored {
        let Value { path, ty, .. } = train.value(value);
        let name = name(path, &values);
        features.outputs.push(Output { name: name.clone(), purpose: Purpose::Head, value });
        values.push(Stored { name, path: path.clone(), ty: ty.clone() });
    }
    let twins = twins(&train, &eval, &region);
    let above = |graph: &Graph, places: &[ValueId]| {
        let rest = rewrite(graph, |new, id, mut value| {
            if let Some(i) = places.iter().position(|place| *place == id) {
                value.definition = Definition::Leaf(Leaf::Input(values[i].name.clone()));
            }
            Some(push(new, value))
        });
        optimise(sweep(rest)).0
    };
    let places: Option<Vec<ValueId>> = stored.iter().map(|id| twins[id.0]).collect();
    let eval = places.map(|places| above(&eval, &places));
    Ok(Cut { train: above(&train, &stored), eval, features: optimise(sweep(features)).0, values })
}

const WORTHLESS: &str = "computing what is frozen again costs less than reading it";

/// What a value of a training graph follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    /// Frozen parameters alone: the same for every example.
    Parameters,
    /// Inputs, and perhaps frozen parameters, row by row.
    Inputs,
    /// Something that moves.
    Else,
}

/// What each value of a graph follows from.
struct Region(Vec<Follows>);

impl Region {
    fn of(graph: &Graph, random: &dyn Fn(&str) -> bool) -> Region {
        let mut all: Vec<Follows> = vec![];
        for value in &graph.values {
            all.push(match &value.definition {
                Definition::Leaf(Leaf::Input(name)) if !random(name) => Follows::Inputs,
                Definition::Leaf(Leaf::Parameter(path)) if graph.parameters[path].role.is_frozen() => {
                    Follows::Parameters
                }
                Definition::Leaf(_) => Follows::Else,
                Definition::Op { inputs, .. } => {
                    let worst = inputs.iter().map(|id| all[id.0]).max_by_key(|from| *from as usize);
                    match worst {
                        Some(Follows::Inputs) if !value.is_by_row() => Follows::Else,
                        Some(from) => from,
                        None => Follows::Else,
                    }
                }
            });
        }
        Region(all)
    }

    /// Whether the value is of the region: it follows from inputs, row by row.
    fn has(&self, id: ValueId) -> bool {
        self.0[id.0] == Follows::Inputs
    }

    /// Which values are worth storing, in the order of the graph.
    fn stored(&self, graph: &Graph, terms: &Terms) -> Vec<ValueId> {
        let n = graph.values.len();
        // Each value has a node, and one that stands for its being stored; then come source and sink.
        let (once, again) = (2 * n, 2 * n + 1);
        let mut network = Network::new(2 * n + 2);
        let is_leaf = |id: ValueId| matches!(graph.value(id).definition, Definition::Leaf(_));
        // Where a cut is demanded, all that takes work is computed once, whatever it costs to store.
        let scale = if terms.demanded && !self.gains(graph, terms) { 1 << 24 } else { 1 };
        for id in graph.ids().filter(|&id| self.has(id)) {
            let value = graph.value(id);
            let size = match value.ty.dtype {
                DType::I64 => 8,
                DType::F32 if is_leaf(id) => 4,
                DType::F32 => terms.bytes,
            };
            let stored = (value.ty.elements(1) as u64).saturating_mul(size).saturating_mul(terms.worth);
            network.edge(id.0, n + id.0, stored);
            let work = graph.value_flops(value).saturating_mul(scale);
            network.edge(once, id.0, if is_leaf(id) { NEVER } else { work });
            // What is computed once reads nothing that is computed again.
            value.inputs().iter().filter(|i| self.has(**i)).for_each(|i| network.edge(id.0, i.0, NEVER));
        }
        for (reader, value) in graph.values.iter().enumerate() {
            for id in value.inputs().iter().filter(|id| self.has(**id)) {
                network.edge(n + id.0, if self.has(ValueId(reader)) { reader } else { again }, NEVER);
            }
        }
        let results = graph.outputs.iter().map(|o| o.value).chain(graph.updates.iter().map(|u| u.value));
        results.filter(|id| self.has(*id)).for_each(|id| network.edge(n + id.0, again, NEVER));
        let side = network.cut(once, again);
        graph.ids().filter(|&id| self.has(id) && !is_leaf(id) && side[id.0] && !side[n + id.0]).collect()
    }

    /// Whether the cut stores anything that is not demanded.
    fn gains(&self, graph: &Graph, terms: &Terms) -> bool {
        !self.stored(graph, &Terms { demanded: false, ..*terms }).is_empty()
    }

    /// Why the lowest frozen layer does not follow from inputs, in words.
    fn obstacle(&self, graph: &Graph, terms: &Terms) -> Option<String> {
        let reads = |value: &Value, from: Follows| value.inputs().iter().any(|id| self.0[id.0] == from);
        let frozen = |value: &&Value| value.ty.is_batched() && reads(value, Follows::Parameters);
        let place = graph.values.iter().position(|value| frozen(&value))?;
        if self.has(ValueId(place)) {
            return None;
        }
        // Down to where something that moves first comes in.
        let mut id = ValueId(place);
        while let Some(&below) = graph.value(id).inputs().iter().find(|input| self.0[input.0] == Follows::Else) {
            id = below;
        }
        let Value { definition, path, .. } = graph.value(id);
        let layer = path.rsplit_once('.').map_or(path.as_str(), |(layer, _)| layer);
        let why = match definition {
            Definition::Leaf(Leaf::Mask { path, .. }) => format!("the dropout `{path}` is on"),
            Definition::Leaf(Leaf::Parameter(_)) => format!("`{layer}` is trained"),
            Definition::Leaf(Leaf::Input(name)) if (terms.random)(name) => format!("`{name}` is prepared at random"),
            Definition::Leaf(Leaf::Share { .. }) | Definition::Op { op: Op::Reverse(_), .. } => {
                format!("mixup blends `{path}` with the other examples of the batch")
            }
            Definition::Leaf(_) => format!("`{path}` is a label"),
            Definition::Op { .. } => format!("`{path}` normalises by the moments of each batch"),
        };
        Some(format!("{why}, below what is frozen"))
    }
}

/// For each value of the region, the value of the other graph that is the same expression.
fn twins(graph: &Graph, other: &Graph, region: &Region) -> Vec<Option<ValueId>> {
    let mut twins: Vec<Option<ValueId>> = vec![None; graph.values.len()];
    for (i, value) in graph.values.iter().enumerate() {
        let definition = match &value.definition {
            _ if region.0[i] == Follows::Else => continue,
            Definition::Op { op, inputs } => {
                let Some(inputs) = inputs.iter().map(|id| twins[id.0]).collect() else { continue };
                Definition::Op { op: op.clone(), inputs }
            }
            leaf => leaf.clone(),
        };
        twins[i] = other.values.iter().position(|v| v.definition == definition).map(ValueId);
    }
    twins
}

impl Cut {
    /// Numbers that are stored of an example.
    pub fn width(&self) -> usize {
        self.values.iter().map(|value| value.ty.elements(1)).sum()
    }

    /// The inputs that the stored values follow from.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        inputs(&self.features)
    }
}

/// The inputs that a graph reads.
pub fn inputs(graph: &Graph) -> impl Iterator<Item = &str> {
    graph.values.iter().filter_map(|value| match &value.definition {
        Definition::Leaf(Leaf::Input(name)) => Some(name.as_str()),
        _ => None,
    })
}
