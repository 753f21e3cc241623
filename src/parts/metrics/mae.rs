//! `mae`: the mean absolute error, in the unit of the target.
//!
//! `Σ |ŷ − y| / n`, in 64 bits. With several outputs, entries of the channel axis, their errors are averaged, as by
//! scikit-learn's `mean_absolute_error`. Ordered classes count by their numbers: the distance is how many classes lie between.

use super::elements::{Element, at, average, each};
use super::rmse::Mean;
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "mae",
    kind: PartKind::Metric,
    summary: "mean absolute error; of ordered classes, how many classes the head is off",
    params: &[PREDICTION, TARGET],
};

pub fn build(_args: &Args) -> Box<dyn Metric> {
    Box::new(Mae::default())
}

#[derive(Default)]
pub struct Mae {
    outputs: Vec<Mean>,
}

impl Metric for Mae {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        each(prediction, truth, present, |element| {
            let (error, channel) = match element {
                Element::Number { predicted, truth, channel } => {
                    ((f64::from(predicted) - f64::from(truth)).abs(), channel)
                }
                Element::Class { logits, .. } if logits.has_nan() => (f64::NAN, 0),
                Element::Class { logits, class } => (logits.argmax().abs_diff(class) as f64, 0),
            };
            at(&mut self.outputs, channel).add(error);
        });
    }

    fn value(&self) -> Option<f64> {
        average(self.outputs.iter().map(Mean::value))
    }

    fn direction(&self) -> Direction {
        Direction::Lower
    }
}
