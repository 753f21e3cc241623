//! Losses and metrics over a split, without training.

use super::features::Loader;
use super::sources::Sources;
use crate::base::Result;
use crate::data::{Array, Batch, Split};
use crate::engine::{Engine, Weights};
use crate::graph::{Graph, Purpose, ValueId};
use crate::model::{Measure, Model};
use crate::parts::coding::Coding;
use crate::parts::metrics::{self, Metric, Prediction, Truth};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What came out of an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    pub rows: usize,
    /// What training minimises: the mean over batches, weighted by their rows.
    pub objective: f64,
    /// Each task's loss: the mean over batches, weighted by their labels. Absent when no row has the label.
    pub losses: IndexMap<String, Option<f64>>,
    /// In the units of the data: predictions and targets are taken back through the steps that were fitted.
    pub metrics: IndexMap<String, Option<f64>>,
}

impl Evaluation {
    /// Whether any row had a label. Without one, the objective says nothing.
    pub fn has_labels(&self) -> bool {
        self.losses.values().any(Option::is_some)
    }
}

/// Evaluates an evaluation graph over the rows of a split.
pub fn evaluate(
    model: &Model,
    graph: &Graph,
    engine: &dyn Engine,
    weights: &Weights,
    sources: &Sources,
    split: Split,
) -> Result<Evaluation> {
    evaluate_with(model, graph, engine, weights, Loader { sources, features: None }, split)
}

/// The same from features, where there are some that fit the weights and an evaluation computes the same ones.
pub fn evaluate_with(
    model: &Model,
    graph: &Graph,
    engine: &dyn Engine,
    weights: &Weights,
    loader: Loader,
    split: Split,
) -> Result<Evaluation> {
    let sources = loader.sources;
    let features = loader.features.filter(|features| features.fit(weights));
    let cut = features.and_then(|features| Some((features, features.cut.eval.as_ref()?)));
    let (graph, features) = cut.map_or((graph, None), |(features, cut)| (cut, Some(features)));
    let loader = Loader { sources, features };
    let rows = sources.rows(split);
    let mut session = engine.session(graph);
    let wanted: Vec<ValueId> = graph.outputs.iter().map(|o| o.value).collect();
    let mut meters: Vec<Box<dyn Metric>> = model.measures.iter().map(|m| meter(model, m)).collect();
    let mut means: IndexMap<String, Mean> = model.terms.iter().map(|t| (t.name.clone(), Mean::default())).collect();
    let mut objective = Mean::default();
    for chunk in rows.chunks(model.train.size("batch").max(64)) {
        let (batch, origin) = loader.batch(graph, chunk, None)?;
        session.forward(weights, &batch, &wanted);
        for (number, output) in graph.outputs.iter().enumerate() {
            let value = session.result(number);
            match output.purpose {
                Purpose::Objective => objective.add(f64::from(value[0]), batch.size as f64),
                Purpose::Loss => {
                    means[&output.name].add(f64::from(value[0]), labelled(model, &output.name, &batch));
                }
                Purpose::Head => {
                    for (measure, meter) in
                        model.measures.iter().zip(&mut meters).filter(|(m, _)| m.head == output.name)
                    {
                        let dims = graph.value(output.value).ty.at(batch.size);
                        let coding = model.coding(&measure.head, &measure.target);
                        meet(measure, coding, meter.as_mut(), value.to_vec(), &dims, &batch, &origin, sources);
                    }
                }
            }
        }
    }
    Ok(Evaluation {
        rows: rows.len(),
        objective: objective.value().unwrap_or(f64::NAN),
        losses: means.into_iter().map(|(name, mean)| (name, mean.value())).collect(),
        metrics: model.measures.iter().zip(&meters).map(|(m, meter)| (m.name.clone(), meter.value())).collect(),
    })
}

/// How many rows of a batch have the label of a task: the weight of its loss in a mean over batches.
pub fn labelled(model: &Model, task: &str, batch: &Batch) -> f64 {
    let term = model.terms.iter().find(|t| t.name == task).expect("a loss is a term's");
    batch.present[&term.target].iter().filter(|p| **p > 0.0).count() as f64
}

/// A metric before any batch.
fn meter(model: &Model, measure: &Measure) -> Box<dyn Metric> {
    let mut meter = metrics::build(&measure.metric);
    let classes = model.target(&measure.target).and_then(|target| target.ty.classes.as_ref());
    if let Some(names) = classes.and_then(|classes| classes.names.as_ref()) {
        meter.names(names);
    }
    meter
}

/// Shows a batch to a metric, in the units of the data.
#[allow(clippy::too_many_arguments, reason = "they are what a metric compares, and where it came from")]
fn meet(
    measure: &Measure,
    coding: Coding,
    meter: &mut dyn Metric,
    mut values: Vec<f32>,
    dims: &[usize],
    batch: &Batch,
    origin: &[usize],
    sources: &Sources,
) {
    let present = &batch.present[&measure.target];
    match &batch.values[&measure.target] {
        Array::I64 { data, .. } => {
            let places = data.len() / present.len().max(1);
            let counts = |row: usize, place: usize| present[row] > 0.0 && data[row * places + place] >= 0;
            let (values, dims) = match coding {
                Coding::Scores => (values, dims.to_vec()),
                coding => coding.scores(&values, dims, counts),
            };
            meter.update(Prediction { values: &values, dims: &dims }, Truth::Classes { ids: data }, present);
        }
        Array::F32 { data, .. } => {
            let mut truth = data.clone();
            for array in [&mut values, &mut truth] {
                invert(sources, &measure.target, origin, array);
            }
            meter.update(Prediction { values: &values, dims }, Truth::Numbers { values: &truth }, present);
        }
    }
}

/// Takes values of a target back to the units of the file that each row came from.
pub fn invert(sources: &Sources, target: &str, origin: &[usize], values: &mut [f32]) {
    let width = values.len() / origin.len().max(1);
    for (row, &source) in origin.iter().enumerate() {
        sources.datasets[source].invert(target, &mut values[row * width..][..width]);
    }
}

/// A weighted mean in 64 bits.
#[derive(Default)]
pub struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    pub fn add(&mut self, value: f64, weight: f64) {
        if weight > 0.0 {
            self.sum += value * weight;
            self.weight += weight;
        }
    }

    /// `None` when nothing of any weight was added.
    pub fn value(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

/// How many rows of each source have a target, where there are several sources: ` (drives: 70 of 70, marked: 0 of 30)`.
pub fn labels_by_source(model: &Model, sources: &Sources, target: &str, split: Split) -> String {
    if model.data.len() < 2 {
        return String::new();
    }
    let of = |dataset: &crate::data::Dataset| {
        let rows = dataset.rows(split);
        let labelled = rows.iter().filter(|row| dataset.has_label(target, **row)).count();
        format!("{}: {labelled} of {}", dataset.name(), rows.len())
    };
    format!(" ({})", sources.datasets.iter().map(of).collect::<Vec<_>>().join(", "))
}

/// How many rows of a split have each target.
pub fn labels(model: &Model, sources: &Sources, split: Split) -> IndexMap<String, (usize, usize)> {
    let count = |target: &str| {
        let mut totals = (0, 0);
        for (spec, dataset) in model.data.iter().zip(&sources.datasets) {
            let rows = dataset.rows(split).len();
            let given = spec.fields.iter().any(|f| f.name == target);
            totals.0 += if given { rows - dataset.missing(target, split) } else { 0 };
            totals.1 += rows;
        }
        totals
    };
    model.targets.iter().map(|t| (t.name.clone(), count(&t.name))).collect()
}
