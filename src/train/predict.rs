//! What heads answer for rows, in the words and units of the data.

use super::answer;
use super::evaluate::invert;
use super::sources::Sources;
use crate::base::{DType, Result};
use crate::data::Split;
use crate::engine::{Engine, Weights};
use crate::graph::{Graph, Output, ValueId};
use crate::model::Model;
use crate::parts::boxes;
use crate::parts::coding::Coding;
use indexmap::IndexMap;
use serde_json::{Value, json};

/// The answers for one row, by head.
pub type Row = IndexMap<String, Value>;

/// Runs the heads of a serving graph over every row of the sources.
///
/// A head that tells classes apart answers `{"class": …, "probability": …}`; one that does so at each place of a sequence answers the
/// list of the classes, `null` at padding, of a chain of labels those of the best path; one that finds boxes a list of
/// `{"class": …, "score": …, "box": [x0, y0, x1, y1]}`, best first; one that learned numbers answers the number, or the list of them, in
/// the units of the file; a head without a task, or one with an answer at each pixel, its raw values.
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
            let (answers_with, coding) = (answers_with(model, graph, output), coding(model, &output.name));
            if let Some(target) = target.filter(|t| t.ty.ty.dtype == DType::F32) {
                invert(sources, &target.name, &origin, values);
            }
            let width = inner.iter().product::<usize>();
            for (row, answer) in answers.iter_mut().enumerate() {
                let own = &values[row * width..][..width];
                let names = target.and_then(|t| sources.datasets[origin[row]].class_names(&t.name));
                let value = match answers_with {
                    Answer::Class => answer::class(own, coding, names),
                    Answer::Sequence { places, width } => {
                        let ids = answer::padded(graph, &batch, places);
                        let padding = |place| ids.is_some_and(|(ids, absent)| ids[row * places + place] == absent);
                        answer::sequence(own, [places, width], coding, names, padding)
                    }
                    Answer::Boxes { width } => objects(own, width, names),
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

/// What a head answers with.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    /// One class for each row.
    Class,
    /// A class at each place of a sequence.
    Sequence {
        places: usize,
        width: usize,
    },
    /// The boxes of an image, of cells of so many values.
    Boxes {
        width: usize,
    },
    Numbers,
}

fn answers_with(model: &Model, graph: &Graph, output: &Output) -> Answer {
    let term = model.terms.iter().find(|t| t.head == output.name);
    let target = term.and_then(|t| model.target(&t.target));
    if let (true, [_, width]) = (target.is_some_and(|t| t.ty.is_boxes()), &graph.value(output.value).ty.inner()[..]) {
        return Answer::Boxes { width: *width };
    }
    if target.is_none_or(|t| t.ty.classes.is_none()) {
        return Answer::Numbers;
    }
    match graph.value(output.value).ty.inner()[..] {
        [_] => Answer::Class,
        [places, width] => Answer::Sequence { places, width },
        _ => Answer::Numbers,
    }
}

/// How the values of a head stand for classes.
fn coding(model: &Model, head: &str) -> Coding {
    let term = model.terms.iter().find(|t| t.head == head);
    term.map_or(Coding::Scores, |t| model.coding(head, &t.target))
}

/// The names of the answers of a serving graph, side by side: a class has two, every other head one.
pub fn columns(model: &Model, graph: &Graph) -> Vec<String> {
    let names = |output: &Output| match (answers_with(model, graph, output), &output.name) {
        (Answer::Class, head) => vec![format!("{head}.class"), format!("{head}.probability")],
        (_, head) => vec![head.clone()],
    };
    graph.outputs.iter().flat_map(names).collect()
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
