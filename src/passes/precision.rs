//! `precision`: lets the products of a graph that serves compute in low precision.
//!
//! It touches every `linear`, and every `conv2d` in one group, whose weights do not move; the rest of the graph stays f32. In
//! `int8` each of them needs the range of its input, which was measured on the same weights; a range is known by the path of the
//! weight that it meets, which no pass changes. What has no range, or sums more terms than fit, stays f32.

use crate::graph::{Definition, Graph, Leaf, Mode, ValueId, verify};
use crate::ops::precision::Precision;
use indexmap::IndexMap;

/// The least and the largest number that meet each weight, by the path of the weight.
pub type Ranges = IndexMap<String, [f32; 2]>;

/// A product of a graph.
pub struct Product {
    pub value: ValueId,
    /// What meets the weight.
    pub input: ValueId,
    /// The path of the weight.
    pub weight: String,
}

/// Every product that can be computed in low precision, in the order of the graph.
pub fn products(graph: &Graph) -> Vec<Product> {
    let product = |value: ValueId| {
        let Definition::Op { op, inputs } = &graph.value(value).definition else { return None };
        op.clone().precision_mut()?;
        let weight = path(graph, inputs[1]).filter(|_| graph.mode == Mode::Eval && graph.is_fixed(inputs[1]))?;
        Some(Product { value, input: inputs[0], weight: weight.into() })
    };
    graph.ids().filter_map(product).collect()
}

/// The parameter that a weight is, or is made of.
fn path(graph: &Graph, id: ValueId) -> Option<&str> {
    match &graph.value(id).definition {
        Definition::Leaf(Leaf::Parameter(path)) => Some(path),
        Definition::Leaf(_) => None,
        Definition::Op { inputs, .. } => path(graph, *inputs.first()?),
    }
}

/// The graph with its products in bf16.
pub fn bf16(graph: &Graph) -> Graph {
    with(graph, |_| Some(Precision::Bf16))
}

/// The graph with its products in int8.
pub fn int8(graph: &Graph, ranges: &Ranges) -> Graph {
    with(graph, |weight| ranges.get(weight).map(|&[low, high]| Precision::Int8 { low, high }))
}

fn with(graph: &Graph, precision: impl Fn(&str) -> Option<Precision>) -> Graph {
    let mut new = graph.clone();
    for product in products(graph) {
        let Some(wanted) = precision(&product.weight) else { continue };
        let Definition::Op { op, inputs } = &mut new.values[product.value.0].definition else { continue };
        let types: Vec<_> = inputs.iter().map(|&id| graph.value(id).ty.clone()).collect();
        let mut rounded = op.clone();
        rounded.precision_mut().into_iter().for_each(|precision| *precision = wanted);
        if rounded.signature(&types).is_ok() {
            *op = rounded;
        }
    }
    verify(&new).unwrap_or_else(|broken| panic!("bug: in low precision: {broken}"));
    new
}
