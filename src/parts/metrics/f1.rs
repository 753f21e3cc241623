//! `f1`: the harmonic mean of precision and recall.
//!
//! For one class `F₁ = 2·TP / (2·TP + FP + FN)`. The decision is the largest logit; with a number per label (multi-label) each
//! label is a class of its own, and a logit above 0 says yes.
//!
//! - `macro` averages `F₁` over the classes;
//! - `micro` computes one `F₁` from the counts of all classes (with one class per element that is the accuracy);
//! - `binary` is the `F₁` of class 1; with a number per label, it counts every yes, as `micro` does.
//!
//! A class that neither occurs nor is predicted has no `F₁` and is left out of the average: scikit-learn's `f1_score` with
//! `zero_division=nan`.

use super::elements::{Element, at, average, each};
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "f1",
    kind: PartKind::Metric,
    summary: "harmonic mean of precision and recall",
    params: &[
        PREDICTION,
        TARGET,
        Param::with("average", Kind::Word(&["macro", "micro", "binary"]), "macro", "how classes are put together"),
    ],
};

pub fn build(args: &Args) -> Box<dyn Metric> {
    let average = match args.text("average") {
        "micro" => Average::Micro,
        "binary" => Average::Binary,
        _ => Average::Macro,
    };
    Box::new(F1 { average, classes: vec![], labels: false, nan: false })
}

#[derive(Clone, Copy, PartialEq)]
pub enum Average {
    Macro,
    Micro,
    Binary,
}

/// Decisions about one class.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    /// Rightly named.
    hits: u64,
    /// Named, rightly or not.
    named: u64,
    /// Truly there.
    there: u64,
}

impl Counts {
    pub fn add(&mut self, named: bool, there: bool) {
        self.hits += u64::from(named && there);
        self.named += u64::from(named);
        self.there += u64::from(there);
    }

    /// `2·TP / (2·TP + FP + FN)`, whose divisor is the number named plus the number there.
    fn f1(self) -> Option<f64> {
        let both = self.named + self.there;
        (both > 0).then(|| 2.0 * self.hits as f64 / both as f64)
    }

    /// `TP / (TP + FP + FN)`.
    pub fn iou(self) -> Option<f64> {
        let union = self.named + self.there - self.hits;
        (union > 0).then(|| self.hits as f64 / union as f64)
    }
}

pub struct F1 {
    average: Average,
    classes: Vec<Counts>,
    /// Whether targets were a number per label.
    labels: bool,
    nan: bool,
}

impl Metric for F1 {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        each(prediction, truth, present, |element| match element {
            Element::Class { logits, class } => {
                self.nan |= logits.has_nan();
                let named = logits.argmax();
                at(&mut self.classes, named).add(true, named == class);
                // A class that no logit stands for can only be missed; the data was checked, so its size is that of the model.
                if named != class && class < logits.classes {
                    at(&mut self.classes, class).add(false, true);
                }
            }
            Element::Number { predicted, truth, channel } => {
                self.nan |= predicted.is_nan();
                self.labels = true;
                at(&mut self.classes, channel).add(predicted > 0.0, truth > 0.5);
            }
        });
    }

    fn value(&self) -> Option<f64> {
        if self.nan {
            return Some(f64::NAN);
        }
        match self.average {
            Average::Macro => average(self.classes.iter().map(|counts| counts.f1())),
            Average::Binary if !self.labels => self.classes.get(1).and_then(|counts| counts.f1()),
            Average::Micro | Average::Binary => {
                let sum = |part: fn(&Counts) -> u64| self.classes.iter().map(part).sum();
                Counts { hits: sum(|c| c.hits), named: sum(|c| c.named), there: sum(|c| c.there) }.f1()
            }
        }
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }
}
