//! What heads answer for rows, in the words and units of the data.

use super::evaluate::invert;
use super::sources::Sources;
use crate::base::{DType, Result};
use crate::data::Split;
use crate::engine::{Engine, Weights};
use crate::graph::{Graph, Output, ValueId};
use crate::model::Model;
use crate::parts::boxes;
use indexmap::IndexMap;
use serde_json::{Value, json};

/// The answers for one row, by head.
pub type Row = IndexMap<String, Value>;

/// Runs the heads of a serving graph over every row of the sources.
///
/// A head that tells classes apart answers `{"class": …, "probability": …}`; one that finds boxes a list of
/// `{"class": …, "score": …, "box": [x0, y0, x1, y1]}`, best first; one that learned numbers answers the number, or the
/// list of them, in the units of the file; a head without a task, or one with an answer at each position, its raw values.
pub fn predict(
    model: &Model,
    graph: &Graph,
    engine: &dyn Engine,
    weights: &Weights,
    sources: &Sources,
    split: Split,
    mut answer: impl FnMut(Row),
) -> Result<()> {
    let rows = sources.rows(split);
    let mut session = engine.session(graph);
    let wanted: Vec<ValueId> = graph.outputs.iter().map(|o| o.value).collect();
    for chunk in rows.chunks(64) {
        let (batch, origin) = sources.batch(chunk)?;
        session.forward(weights, &batch, &wanted);
        let mut answers: Vec<Row> = vec![Row::new(); batch.size];
        for (number, output) in graph.outputs.iter().enumerate() {
            let values = &mut session.result(number).to_vec();
            let term = model.terms.iter().find(|t| t.head == output.name);
            let target = term.and_then(|t| model.target(&t.target));
            let inner = graph.value(output.value).ty.inner();
            let classifies = classifies(model, graph, output);
            if let Some(target) = target.filter(|t| t.ty.ty.dtype == DType::F32) {
                invert(sources, &target.name, &origin, values);
            }
            let width = inner.iter().product::<usize>();
            for (row, answer) in answers.iter_mut().enumerate() {
                let own = &values[row * width..][..width];
                let value = match target {
                    Some(target) if classifies => {
                        let names = sources.datasets[origin[row]].class_names(&target.name);
                        class(own, names)
                    }
                    Some(target) if target.ty.is_boxes() => {
                        let names = sources.datasets[origin[row]].class_names(&target.name);
                        objects(own, inner[1], names)
                    }
                    _ if width == 1 => json!(own[0]),
                    _ => nested(own, &inner),
                };
                answer.insert(output.name.clone(), value);
            }
        }
        answers.into_iter().for_each(&mut answer);
    }
    Ok(())
}

/// Whether a head answers with one class for each row.
fn classifies(model: &Model, graph: &Graph, output: &Output) -> bool {
    let term = model.terms.iter().find(|t| t.head == output.name);
    let target = term.and_then(|t| model.target(&t.target));
    target.is_some_and(|t| t.ty.ty.dtype == DType::I64) && graph.value(output.value).ty.inner().len() == 1
}

/// The names of the answers of a serving graph, side by side: a class has two, every other head one.
pub fn columns(model: &Model, graph: &Graph) -> Vec<String> {
    let names = |output: &Output| match (classifies(model, graph, output), &output.name) {
        (true, head) => vec![format!("{head}.class"), format!("{head}.probability")],
        (false, head) => vec![head.clone()],
    };
    graph.outputs.iter().flat_map(names).collect()
}

/// The likeliest class, by name where it has one, and its softmax probability.
fn class(logits: &[f32], names: Option<&[String]>) -> Value {
    let best = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
    let sum: f32 = logits.iter().map(|x| (x - logits[best]).exp()).sum();
    let name = names.and_then(|n| n.get(best)).map_or(json!(best), |name| json!(name));
    json!({ "class": name, "probability": 1.0 / sum })
}

/// The boxes of an image, best first, their classes by name where they have one.
fn objects(answer: &[f32], width: usize, names: Option<&[String]>) -> Value {
    let name = |class: usize| names.and_then(|n| n.get(class)).map_or(json!(class), |name| json!(name));
    let found = boxes::found(answer, width, boxes::LEAST_ANSWERED);
    found.iter().map(|f| json!({ "class": name(f.class), "score": f.score, "box": f.corners })).collect()
}

/// Row-major values as nested lists.
fn nested(values: &[f32], dims: &[usize]) -> Value {
    match dims {
        [] => json!(values[0]),
        [_] => json!(values),
        [first, rest @ ..] => {
            let width = values.len() / (*first).max(1);
            Value::Array(values.chunks(width.max(1)).map(|part| nested(part, rest)).collect())
        }
    }
}
