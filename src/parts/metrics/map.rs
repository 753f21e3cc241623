//! `map` and `map50`: mean average precision of boxes, as COCO measures it (Lin et al. 2014, arXiv 1405.0312).
//!
//! Of the boxes that [`boxes`](crate::parts::boxes) finds in an image, at most 100 of each class, best first, each takes the true box of its
//! class that it overlaps most and that no better one has taken, if their IoU reaches a threshold; so it is right, else wrong. Over all
//! images, best first, precision and recall follow; precision at a recall is the largest at that recall or a larger one, and average
//! precision its mean at the recalls 0, 0.01, …, 1. `map50` is the mean over classes at the threshold 0.5, and `map` that over the
//! thresholds 0.5, 0.55, …, 0.95 too. Classes without a true box count nowhere; a class with some that are never found counts 0. Objects
//! of every size count. Agrees with pycocotools.
//!
//! An image without boxes has a label: whatever is found there is wrong. An image whose label is missing counts nowhere.

use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, PartKind, Signature};
use crate::ops::assignment::{iou, truths};
use crate::ops::detect::BEHIND;
use crate::parts::boxes::{self, Found, LEAST_MEASURED, MOST};

pub static MAP: Signature = Signature {
    name: "map",
    kind: PartKind::Metric,
    summary: "mean average precision of boxes, over the overlaps 0.5 to 0.95, as COCO measures it",
    params: &[PREDICTION, TARGET],
};

pub static MAP50: Signature = Signature {
    name: "map50",
    kind: PartKind::Metric,
    summary: "mean average precision of boxes that overlap true ones by half or more",
    params: &[PREDICTION, TARGET],
};

pub fn build_map(_args: &Args) -> Box<dyn Metric> {
    Box::new(MeanPrecision::new(10))
}

pub fn build_map50(_args: &Args) -> Box<dyn Metric> {
    Box::new(MeanPrecision::new(1))
}

/// What is known of one class.
#[derive(Default)]
struct Class {
    /// True boxes in all images.
    there: usize,
    /// Boxes found, image after image, each image's best first: the score, and whether it is right at each threshold.
    found: Vec<(f32, Vec<bool>)>,
}

pub struct MeanPrecision {
    thresholds: Vec<f64>,
    classes: Vec<Class>,
    nan: bool,
}

impl MeanPrecision {
    /// The first so many of the ten thresholds.
    pub fn new(count: usize) -> Self {
        let step = (0.95 - 0.5) / 9.0;
        let thresholds = (0..count).map(|k| if k == 9 { 0.95 } else { 0.5 + k as f64 * step }).collect();
        Self { thresholds, classes: vec![], nan: false }
    }

    /// Adds an image: what was found there, best first, and what is there.
    pub fn add(&mut self, found: &[Found], truths: &[(usize, [f32; 4])]) {
        let classes = found.iter().map(|f| f.class).chain(truths.iter().map(|t| t.0));
        let count = classes.max().map_or(0, |class| class + 1);
        if self.classes.len() < count {
            self.classes.resize_with(count, Class::default);
        }
        for class in 0..count {
            let truths: Vec<[f32; 4]> = truths.iter().filter(|t| t.0 == class).map(|t| t.1).collect();
            let found: Vec<&Found> = found.iter().filter(|f| f.class == class).take(MOST).collect();
            let right: Vec<Vec<bool>> = self.thresholds.iter().map(|t| matches(&found, &truths, *t)).collect();
            let own = &mut self.classes[class];
            own.there += truths.len();
            let at_each = |k: usize| right.iter().map(|r| r[k]).collect();
            own.found.extend(found.iter().enumerate().map(|(k, f)| (f.score, at_each(k))));
        }
    }
}

impl Metric for MeanPrecision {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        // `accepts` admits boxes alone.
        let Truth::Numbers { values: truth } = truth else { return };
        let [rows, cells, width] = prediction.dims[..] else { return };
        let (answer, boxes) = (cells * width, truth.len() / rows.max(1));
        for row in (0..rows).filter(|row| present[*row] > 0.0) {
            let truth = &truth[row * boxes..][..boxes];
            if truth.iter().all(|x| x.is_nan()) {
                continue;
            }
            let answer = &prediction.values[row * answer..][..answer];
            self.nan |= answer.iter().any(|x| x.is_nan());
            let there: Vec<(usize, [f32; 4])> = truths(truth, width - BEHIND).collect();
            self.add(&boxes::found(answer, width, LEAST_MEASURED), &there);
        }
    }

    fn value(&self) -> Option<f64> {
        let there = self.classes.iter().filter(|class| class.there > 0);
        let count = there.clone().count() * self.thresholds.len();
        let sum: f64 = there.map(|class| (0..self.thresholds.len()).map(|t| class.precision(t)).sum::<f64>()).sum();
        if self.nan { Some(f64::NAN) } else { (count > 0).then(|| sum / count as f64) }
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }
}

/// Which of the boxes found, best first, are right at a threshold. Of true boxes that overlap one alike, it takes the last.
fn matches(found: &[&Found], truths: &[[f32; 4]], threshold: f64) -> Vec<bool> {
    let mut taken = vec![false; truths.len()];
    let mut is_right = |found: &&Found| {
        let mut best: Option<usize> = None;
        let mut most = threshold.min(1.0 - 1e-10);
        for (k, truth) in truths.iter().enumerate().filter(|(k, _)| !taken[*k]) {
            let overlap = iou(found.corners, *truth);
            if overlap >= most {
                (best, most) = (Some(k), overlap);
            }
        }
        best.is_some_and(|k| !std::mem::replace(&mut taken[k], true))
    };
    found.iter().map(&mut is_right).collect()
}

impl Class {
    /// The average precision at a threshold.
    fn precision(&self, threshold: usize) -> f64 {
        let mut order: Vec<&(f32, Vec<bool>)> = self.found.iter().collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut right = 0usize;
        let mut curve: Vec<(f64, f64)> = vec![];
        for (k, (_, is_right)) in order.into_iter().enumerate() {
            right += usize::from(is_right[threshold]);
            curve.push((right as f64 / self.there as f64, right as f64 / ((k + 1) as f64 + f64::EPSILON)));
        }
        for k in (1..curve.len()).rev() {
            curve[k - 1].1 = curve[k - 1].1.max(curve[k].1);
        }
        let at = |recall: f64| curve.get(curve.partition_point(|point| point.0 < recall)).map_or(0.0, |point| point.1);
        (0..=100).map(|k| at(if k == 100 { 1.0 } else { f64::from(k) * 0.01 })).sum::<f64>() / 101.0
    }
}
