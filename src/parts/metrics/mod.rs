//! Metrics: how good predictions are, over any number of batches.
//!
//! A metric collects batches by [`Metric::update`] and gives its value at the end. The value does not depend on how the rows
//! were cut into batches, not even in its last bit: every sum runs over the elements in their order, in 64 bits.
//!
//! - An absent row (`present` is 0), a negative class and a NaN target are missing labels. They count nowhere.
//! - A value is `None` where there is nothing to say: no label was seen, or the metric is undefined for those seen.
//! - A value is NaN where a NaN prediction met a label: the model is broken, and hiding that row would hide it.

pub mod accuracy;
pub mod angle;
pub mod auroc;
pub mod elements;
pub mod entity_f1;
pub mod exact;
pub mod f1;
pub mod mae;
pub mod map;
pub mod miou;
pub mod r2;
pub mod rel_err;
pub mod rmse;
pub mod top_k;

use crate::base::signature::{Args, Call, Kind, Param, Signature};
use crate::base::{DType, Type};
use crate::ops::Mismatch;
use crate::ops::detect::BEHIND;
use crate::parts::coding::Coding;

/// Logits or numbers of one batch.
#[derive(Clone, Copy, Debug)]
pub struct Prediction<'a> {
    pub values: &'a [f32],
    /// The shape, with the rows first.
    pub dims: &'a [usize],
}

/// The targets of one batch.
#[derive(Clone, Copy, Debug)]
pub enum Truth<'a> {
    /// One class for every vector of logits; negative is missing.
    Classes { ids: &'a [i64] },
    /// One number for every predicted number; NaN is missing. Metrics of classes read above 0.5 as yes.
    Numbers { values: &'a [f32] },
}

pub trait Metric: Send {
    /// Tells the names of the classes, before any batch, where the spec has them.
    fn names(&mut self, _names: &[String]) {}

    /// Adds a batch whose types [`accepts`] has checked. `present` has one entry per row, 0 where its label is missing.
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]);

    /// The metric over all rows so far.
    fn value(&self) -> Option<f64>;

    fn direction(&self) -> Direction;
}

/// Which values are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Higher,
    Lower,
}

impl Direction {
    /// Whether `new` is strictly better than `old`. NaN is never better, and everything else is better than NaN.
    pub fn better(self, new: f64, old: f64) -> bool {
        let ahead = match self {
            Direction::Higher => new > old,
            Direction::Lower => new < old,
        };
        ahead || (old.is_nan() && !new.is_nan())
    }
}

/// The parameters that every metric declares first.
const PREDICTION: Param = Param::required("prediction", Kind::Prediction, "what the model says");
const TARGET: Param = Param::required("target", Kind::Target, "what is true");

/// What a metric compares.
#[derive(Clone, Copy, PartialEq)]
enum Compares {
    /// Logits with classes.
    Classes,
    /// Logits with classes, or logits with yes and no, each a number.
    Labels,
    /// Numbers with numbers.
    Numbers,
    /// Vectors along the channel axis with vectors.
    Vectors,
    /// The cells of `detect` with boxes.
    Boxes,
    /// Numbers with numbers, or ordered classes by their numbers.
    Distances,
    /// The tags of sequences, which are classes with names.
    Tags,
}

struct Entry {
    signature: &'static Signature,
    compares: Compares,
    /// Whether it asks more of scores than which class comes first.
    ranks: bool,
    build: fn(&Args) -> Box<dyn Metric>,
}

/// Every metric.
static LIST: &[Entry] = &[
    Entry { signature: &accuracy::SIGNATURE, compares: Compares::Labels, ranks: false, build: accuracy::build },
    Entry { signature: &exact::SIGNATURE, compares: Compares::Labels, ranks: false, build: exact::build },
    Entry { signature: &top_k::SIGNATURE, compares: Compares::Classes, ranks: true, build: top_k::build },
    Entry { signature: &f1::SIGNATURE, compares: Compares::Labels, ranks: false, build: f1::build },
    Entry { signature: &entity_f1::SIGNATURE, compares: Compares::Tags, ranks: false, build: entity_f1::build },
    Entry { signature: &auroc::SIGNATURE, compares: Compares::Labels, ranks: true, build: auroc::build },
    Entry { signature: &miou::SIGNATURE, compares: Compares::Labels, ranks: false, build: miou::build },
    Entry { signature: &map::MAP, compares: Compares::Boxes, ranks: false, build: map::build_map },
    Entry { signature: &map::MAP50, compares: Compares::Boxes, ranks: false, build: map::build_map50 },
    Entry { signature: &rmse::SIGNATURE, compares: Compares::Numbers, ranks: false, build: rmse::build },
    Entry { signature: &mae::SIGNATURE, compares: Compares::Distances, ranks: false, build: mae::build },
    Entry { signature: &rel_err::SIGNATURE, compares: Compares::Numbers, ranks: false, build: rel_err::build },
    Entry { signature: &r2::SIGNATURE, compares: Compares::Numbers, ranks: false, build: r2::build },
    Entry { signature: &angle::ANGLE, compares: Compares::Vectors, ranks: false, build: angle::build_angle },
    Entry { signature: &angle::WITHIN, compares: Compares::Vectors, ranks: false, build: angle::build_within },
];

fn entry(name: &str) -> &'static Entry {
    let entry = LIST.iter().find(|entry| entry.signature.name == name);
    entry.unwrap_or_else(|| panic!("bug: `{name}` passed the checker as a metric"))
}

pub fn signatures() -> Vec<&'static Signature> {
    LIST.iter().map(|entry| entry.signature).collect()
}

/// The metric that a checked call names, before any batch.
pub fn build(call: &Call) -> Box<dyn Metric> {
    (entry(call.signature.name).build)(&call.args)
}

/// Whether a metric compares the cells of `detect` with boxes. [`accepts`] does not know these.
pub fn takes_boxes(name: &str) -> bool {
    entry(name).compares == Compares::Boxes
}

/// Whether a metric can compare a prediction of one type, decoded from what the head gives, with a target of another.
pub fn accepts(name: &str, coding: Coding, prediction: &Type, target: &Type) -> Result<(), Mismatch> {
    let (compares, ranks) = (entry(name).compares, entry(name).ranks);
    if prediction.dtype != DType::F32 {
        return Err(Mismatch::new(format!("`{name}` takes a prediction of numbers, and got {}", prediction.example()))
            .help("measure a head, not an input of classes or tokens"));
    }
    let (dims, labels) = (prediction.inner(), target.inner());
    if compares == Compares::Boxes {
        let fits = matches!((&dims[..], &labels[..]), ([_, width], [_, 5]) if *width > BEHIND);
        return if fits && target.dtype == DType::F32 {
            Ok(())
        } else {
            let (got, truth) = (prediction.example(), target.example());
            Err(Mismatch::new(format!("`{name}` compares boxes, and got {got} for a target of {truth}"))
                .help("end the head in `detect`, and declare the target as `boxes[CLASSES][MOST]`"))
        };
    }
    if target.dtype == DType::F32 {
        if matches!(compares, Compares::Classes | Compares::Tags) {
            return Err(Mismatch::new(format!(
                "`{name}` compares with classes, and the target is {}",
                target.example()
            ))
            .help("measure a `class` target, or use `accuracy`, which also takes a number per label"));
        }
        if dims != labels {
            let (got, want) = (prediction.example(), target.example());
            return Err(Mismatch::new(format!(
                "`{name}` compares number by number, and got {got} for a target of {want}"
            ))
            .help(format!("end the head so that it gives {want}")));
        }
        let channels = elements::channel_axis(dims.len() + 1).map_or(1, |axis| dims[axis - 1]);
        if compares == Compares::Vectors && channels < 2 {
            let got = target.example();
            return Err(Mismatch::new(format!("`{name}` compares directions, and a value of {got} has none"))
                .help("directions are vectors, such as f32[3], or f32[3, height, width] for one at each pixel"));
        }
        return Ok(());
    }
    let distances = compares == Compares::Distances && coding != Coding::Steps;
    if distances || matches!(compares, Compares::Numbers | Compares::Vectors) {
        return Err(Mismatch::new(format!("`{name}` compares numbers, and the target is of classes"))
            .help("use `accuracy`, `f1` or `auroc` for classes"));
    }
    if ranks && coding != Coding::Scores {
        return Err(Mismatch::new(format!("`{name}` compares scores of classes, and this head only names them"))
            .help("use `accuracy` or `f1`"));
    }
    let shape = prediction.example();
    let Some(axis) = elements::channel_axis(dims.len() + 1) else {
        return Err(Mismatch::new(format!("`{name}` takes logits of one axis to three axes, and got {shape}")));
    };
    let mut rest = dims;
    let classes = rest.remove(axis - 1);
    if rest != labels {
        let wanted = if labels.is_empty() { "one class".into() } else { format!("classes of shape {labels:?}") };
        let mut fitting = labels;
        fitting.insert(if fitting.len() == 2 { 0 } else { fitting.len() }, classes);
        return Err(Mismatch::new(format!("`{name}` got logits of {shape} for {wanted} per example"))
            .help(format!("this target takes logits of {}", Type::batched(DType::F32, &fitting).example())));
    }
    if classes < 2 {
        return Err(Mismatch::new(format!("`{name}` takes one logit per class, and got {shape}"))
            .help("end the head with one output per class, two for yes and no"));
    }
    Ok(())
}
