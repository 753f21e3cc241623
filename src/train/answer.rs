//! What one head says of one row, in the words of the data: a class, or a class at each place of a sequence.

use crate::data::{Array, Batch};
use crate::graph::{Definition, Graph, Leaf};
use crate::ops::Op;
use crate::parts::coding::{Coding, above};
use serde_json::{Value, json};

/// The class by name, where it has one.
fn named(class: usize, names: Option<&[String]>) -> Value {
    names.and_then(|names| names.get(class)).map_or(json!(class), |name| json!(name))
}

/// The likeliest class, by name where it has one, and how likely it is; `null` where the values are NaN.
///
/// Of scores that is the softmax probability. Of steps between ordered classes it is the probability to lie above the step below
/// the class, less that to lie above the step behind it, and at least 0.
pub fn class(values: &[f32], coding: Coding, names: Option<&[String]>) -> Value {
    if coding == Coding::Steps {
        let Some(class) = above(values.iter().copied()) else { return json!({ "class": null, "probability": null }) };
        let over = |step: usize| values.get(step).map_or(0.0, |x| 1.0 / (1.0 + (-x).exp()));
        let below = if class == 0 { 1.0 } else { over(class - 1) };
        return json!({ "class": named(class, names), "probability": (below - over(class)).max(0.0) });
    }
    let best = (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best });
    let sum: f32 = values.iter().map(|x| (x - values[best]).exp()).sum();
    json!({ "class": named(best, names), "probability": 1.0 / sum })
}

/// A class for each place of a sequence, from `[places, width]` values; `null` at padding, and where the values are NaN.
pub fn sequence(
    values: &[f32],
    [places, width]: [usize; 2],
    coding: Coding,
    names: Option<&[String]>,
    is_padding: impl Fn(usize) -> bool,
) -> Value {
    let (scores, dims) = coding.scores(values, &[1, places, width], |_, place| !is_padding(place));
    let classes = scores.chunks_exact(dims[2].max(1)).enumerate().map(|(place, scores)| {
        if is_padding(place) || scores.iter().any(|x| x.is_nan()) {
            return Value::Null;
        }
        named((1..scores.len()).fold(0, |best, c| if scores[c] > scores[best] { c } else { best }), names)
    });
    classes.collect()
}

/// The ids of the sequences of so many places that the graph reads with padding among them, and the id that is padding.
pub fn padded<'a>(graph: &Graph, batch: &'a Batch, places: usize) -> Option<(&'a [i64], i64)> {
    graph.values.iter().find_map(|value| {
        let Definition::Op { op: Op::Present(present), inputs } = &value.definition else { return None };
        let Definition::Leaf(Leaf::Input(name)) = &graph.value(inputs[0]).definition else { return None };
        match batch.values.get(name)? {
            Array::I64 { data, .. } if value.ty.inner() == [places] => Some((&data[..], present.absent)),
            _ => None,
        }
    })
}
