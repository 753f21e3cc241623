//! `accuracy`: the share of labels that the prediction gets right.
//!
//! With classes, the largest logit decides, the first of equals. With a number per label (multi-label), a logit above 0, a
//! probability above one half, says yes, and every label counts for itself. Agrees with scikit-learn's `accuracy_score` on the
//! decisions, flattened when multi-label.

use super::elements::{Element, each};
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "accuracy",
    kind: PartKind::Metric,
    summary: "share of labels predicted right",
    params: &[PREDICTION, TARGET],
};

pub fn build(_args: &Args) -> Box<dyn Metric> {
    Box::new(Accuracy::default())
}

#[derive(Default)]
pub struct Accuracy {
    pub share: Share,
}

impl Metric for Accuracy {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        each(prediction, truth, present, |element| match element {
            Element::Class { logits, class } => self.share.add(logits.argmax() == class, logits.has_nan()),
            Element::Number { predicted, truth, .. } => {
                self.share.add((predicted > 0.0) == (truth > 0.5), predicted.is_nan());
            }
        });
    }

    fn value(&self) -> Option<f64> {
        self.share.value()
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }
}

/// Right answers among all answers.
#[derive(Default)]
pub struct Share {
    right: u64,
    seen: u64,
    nan: bool,
}

impl Share {
    pub fn add(&mut self, right: bool, nan: bool) {
        self.right += u64::from(right);
        self.seen += 1;
        self.nan |= nan;
    }

    pub fn value(&self) -> Option<f64> {
        match self.seen {
            0 => None,
            _ if self.nan => Some(f64::NAN),
            seen => Some(self.right as f64 / seen as f64),
        }
    }
}
