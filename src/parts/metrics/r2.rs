//! `r2`: the share of the target's variance that the prediction explains.
//!
//! `R² = 1 − Σ (y − ŷ)² / Σ (y − ȳ)²`, in 64 bits. The spread around the mean is updated value by value (Welford, 1962), which
//! loses nothing when the mean is large. With several outputs, entries of the channel axis, their values are averaged. Agrees
//! with scikit-learn's `r2_score`: with a constant target the value is 1 when every prediction is right and else 0, and with
//! fewer than two labels it is undefined.

use super::elements::{Element, at, average, each};
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "r2",
    kind: PartKind::Metric,
    summary: "share of the variance that is explained",
    params: &[PREDICTION, TARGET],
};

pub fn build(_args: &Args) -> Box<dyn Metric> {
    Box::new(R2::default())
}

#[derive(Default)]
pub struct R2 {
    outputs: Vec<Output>,
}

#[derive(Default)]
struct Output {
    count: u64,
    mean: f64,
    /// Σ (y − ȳ)².
    spread: f64,
    /// Σ (y − ŷ)².
    residual: f64,
}

impl Output {
    fn add(&mut self, predicted: f64, truth: f64) {
        self.count += 1;
        let before = truth - self.mean;
        self.mean += before / self.count as f64;
        self.spread += before * (truth - self.mean);
        self.residual += (truth - predicted) * (truth - predicted);
    }

    fn value(&self) -> Option<f64> {
        match self.count {
            0 | 1 => None,
            _ if self.residual.is_nan() => Some(f64::NAN),
            _ if self.residual == 0.0 => Some(1.0),
            _ if self.spread == 0.0 => Some(0.0),
            _ => Some(1.0 - self.residual / self.spread),
        }
    }
}

impl Metric for R2 {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        each(prediction, truth, present, |element| {
            // `accepts` admits numbers alone.
            let Element::Number { predicted, truth, channel } = element else { return };
            at(&mut self.outputs, channel).add(f64::from(predicted), f64::from(truth));
        });
    }

    fn value(&self) -> Option<f64> {
        average(self.outputs.iter().map(Output::value))
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }
}
