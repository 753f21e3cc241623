//! `rel_err`: the mean error in proportion to what is true, as depth is judged (Eigen et al. 2014).
//!
//! `Σ |ŷ − y| / y / n` over the numbers whose truth is above 0, in 64 bits; others, such as pixels without a depth, count nowhere.

use super::elements::{Element, each};
use super::rmse::Mean;
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "rel_err",
    kind: PartKind::Metric,
    summary: "mean absolute error in proportion to the target, over targets above 0",
    params: &[PREDICTION, TARGET],
};

pub fn build(_args: &Args) -> Box<dyn Metric> {
    Box::new(RelativeError::default())
}

#[derive(Default)]
pub struct RelativeError {
    mean: Mean,
}

impl Metric for RelativeError {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        each(prediction, truth, present, |element| {
            // `accepts` admits numbers alone.
            let Element::Number { predicted, truth, .. } = element else { return };
            if truth > 0.0 {
                self.mean.add((f64::from(predicted) - f64::from(truth)).abs() / f64::from(truth));
            }
        });
    }

    fn value(&self) -> Option<f64> {
        self.mean.value()
    }

    fn direction(&self) -> Direction {
        Direction::Lower
    }
}
