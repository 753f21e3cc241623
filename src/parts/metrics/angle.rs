//! `angle` and `within`: how far directions, such as surface normals, point from where they should (Fouhey et al. 2013).
//!
//! A direction is a vector along the channel axis: of each pixel of a map, of each token, or of each example. The error is the angle
//! between prediction and truth, `acos(x · y / (‖x‖ ‖y‖))` in degrees and in 64 bits, whatever their lengths. `angle` is its mean, and
//! `within` the share of vectors whose error is below a limit. A vector of truth that has a NaN, or no length, is a missing label; a
//! prediction without length points nowhere, and counts as 90 degrees.

use super::elements::vectors;
use super::rmse::Mean;
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub static ANGLE: Signature = Signature {
    name: "angle",
    kind: PartKind::Metric,
    summary: "mean angle between predicted and true vectors, such as the normals of each pixel, in degrees",
    params: &[PREDICTION, TARGET],
};

pub static WITHIN: Signature = Signature {
    name: "within",
    kind: PartKind::Metric,
    summary: "share of vectors, such as the normals of each pixel, that are off by less than so many degrees",
    params: &[
        PREDICTION,
        TARGET,
        Param::with("degrees", Kind::Positive, "11.25", "the limit; 22.5 and 30 are usual too"),
    ],
};

pub fn build_angle(_args: &Args) -> Box<dyn Metric> {
    Box::new(Angle { limit: None, mean: Mean::default() })
}

pub fn build_within(args: &Args) -> Box<dyn Metric> {
    Box::new(Angle { limit: Some(args.float("degrees")), mean: Mean::default() })
}

pub struct Angle {
    /// Below so many degrees an error counts as 1, others as 0; without a limit each counts as it is.
    limit: Option<f64>,
    mean: Mean,
}

impl Metric for Angle {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        vectors(prediction, truth, present, |x, y| {
            let dot = |a: &dyn Fn(usize) -> f32, b: &dyn Fn(usize) -> f32| -> f64 {
                (0..x.classes).map(|c| f64::from(a(c)) * f64::from(b(c))).sum()
            };
            let (predicted, wanted) = (|c| x.get(c), |c| y.get(c));
            let lengths = [dot(&predicted, &predicted), dot(&wanted, &wanted)].map(f64::sqrt);
            if lengths[1] == 0.0 {
                return;
            }
            let cosine = if lengths[0] == 0.0 { 0.0 } else { dot(&predicted, &wanted) / (lengths[0] * lengths[1]) };
            let error = libm::acos(cosine.clamp(-1.0, 1.0)).to_degrees();
            self.mean.add(match self.limit {
                // A NaN is no error below the limit, and must stay visible.
                Some(limit) if !error.is_nan() => f64::from(u8::from(error < limit)),
                _ => error,
            });
        });
    }

    fn value(&self) -> Option<f64> {
        self.mean.value()
    }

    fn direction(&self) -> Direction {
        if self.limit.is_some() { Direction::Higher } else { Direction::Lower }
    }
}
