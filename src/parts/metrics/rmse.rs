//! `rmse`: the root of the mean squared error, in the unit of the target.
//!
//! `√(Σ (ŷ − y)² / n)`, in 64 bits. With several outputs, entries of the channel axis, each has its own root and the roots are
//! averaged, as by scikit-learn's `root_mean_squared_error`.

use super::elements::{Element, at, average, each};
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "rmse",
    kind: PartKind::Metric,
    summary: "root of the mean squared error",
    params: &[PREDICTION, TARGET],
};

pub fn build(_args: &Args) -> Box<dyn Metric> {
    Box::new(Rmse::default())
}

#[derive(Default)]
pub struct Rmse {
    outputs: Vec<Mean>,
}

impl Metric for Rmse {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        each(prediction, truth, present, |element| {
            // `accepts` admits numbers alone.
            let Element::Number { predicted, truth, channel } = element else { return };
            let error = f64::from(predicted) - f64::from(truth);
            at(&mut self.outputs, channel).add(error * error);
        });
    }

    fn value(&self) -> Option<f64> {
        average(self.outputs.iter().map(|mean| mean.value().map(f64::sqrt)))
    }

    fn direction(&self) -> Direction {
        Direction::Lower
    }
}

/// A running mean.
#[derive(Default)]
pub struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    pub fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    pub fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}
