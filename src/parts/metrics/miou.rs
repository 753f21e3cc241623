//! `miou`: the mean over classes of intersection over union, as segmentation is judged (Everingham et al. 2010).
//!
//! For one class `IoU = TP / (TP + FP + FN)`, counted over all elements of all rows: pixels, tokens or examples. The decision is the
//! largest logit; with a number per label each label is a class of its own, and a logit above 0 says yes. A class that neither occurs
//! nor is predicted has no IoU and is left out of the mean, as by torchmetrics' `JaccardIndex(average="macro")`.

use super::elements::{Element, at, average, each};
use super::f1::Counts;
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "miou",
    kind: PartKind::Metric,
    summary: "intersection over union of what is named a class and what is one, averaged over classes",
    params: &[PREDICTION, TARGET],
};

pub fn build(_args: &Args) -> Box<dyn Metric> {
    Box::new(MeanIou::default())
}

#[derive(Default)]
pub struct MeanIou {
    classes: Vec<Counts>,
    nan: bool,
}

impl Metric for MeanIou {
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
                at(&mut self.classes, channel).add(predicted > 0.0, truth > 0.5);
            }
        });
    }

    fn value(&self) -> Option<f64> {
        if self.nan { Some(f64::NAN) } else { average(self.classes.iter().map(|counts| counts.iou())) }
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }
}
