//! `exact`: the share of examples of which every label is right.
//!
//! An answer at several places, such as the first and last token of a span or the tags of a sentence, is right as a whole or not
//! at all. Labels that are missing are left out; an example without any counts nowhere. With a class for each example it is `accuracy`.
//! With a number per label it agrees with scikit-learn's `accuracy_score` of label vectors.

use super::accuracy::Share;
use super::elements::{Element, each};
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "exact",
    kind: PartKind::Metric,
    summary: "share of examples of which every label is right, such as both ends of a span",
    params: &[PREDICTION, TARGET],
};

pub fn build(_args: &Args) -> Box<dyn Metric> {
    Box::new(Exact::default())
}

#[derive(Default)]
pub struct Exact {
    share: Share,
}

impl Metric for Exact {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        let rows = present.len().max(1);
        let wide = prediction.values.len() / rows;
        for row in 0..present.len() {
            let mut dims = prediction.dims.to_vec();
            dims[0] = 1;
            let one = Prediction { values: &prediction.values[row * wide..][..wide], dims: &dims };
            let truth = match truth {
                Truth::Classes { ids } => Truth::Classes { ids: &ids[row * (ids.len() / rows)..][..ids.len() / rows] },
                Truth::Numbers { values } => Truth::Numbers { values: &values[row * wide..][..wide] },
            };
            let (mut any, mut right, mut nan) = (false, true, false);
            each(one, truth, &present[row..=row], |element| {
                any = true;
                let (hit, broken) = match element {
                    Element::Class { logits, class } => (logits.argmax() == class, logits.has_nan()),
                    Element::Number { predicted, truth, .. } => {
                        ((predicted > 0.0) == (truth > 0.5), predicted.is_nan())
                    }
                };
                right &= hit;
                nan |= broken;
            });
            if any {
                self.share.add(right, nan);
            }
        }
    }

    fn value(&self) -> Option<f64> {
        self.share.value()
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }
}
