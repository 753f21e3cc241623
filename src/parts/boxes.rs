//! From the cells of `detect` to boxes: what metrics measure and predictions answer, in one place.
//!
//! In comes the answer of a head for one image, `[cells, classes + 7]` as the op `detect` gives it. Out come boxes, best first: of each
//! cell and class the score is `√(σ(class) · σ(quality))`, what scores too little is left out, and of boxes of one class that overlap
//! each other the best is kept (greedy non-maximum suppression). Equal scores keep the order of cells and classes.

use crate::ops::assignment::iou;
use crate::ops::detect::BEHIND;

/// A box that a head found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    pub class: usize,
    /// From 0 to 1.
    pub score: f32,
    /// x0, y0, x1, y1 in pixels of the image.
    pub corners: [f32; 4],
}

/// Of two boxes of one class whose IoU is larger, the lesser is dropped.
pub const OVERLAP: f64 = 0.6;

/// The most boxes of an image.
pub const MOST: usize = 100;

/// The least score of a box that a metric looks at: precision is measured at every recall, so nearly all count.
pub const LEAST_MEASURED: f32 = 0.01;

/// The least score of a box that a prediction answers.
pub const LEAST_ANSWERED: f32 = 0.3;

/// The boxes of an image that score at least `least`.
pub fn found(answer: &[f32], width: usize, least: f32) -> Vec<Found> {
    let classes = width - BEHIND;
    let mut candidates: Vec<Found> = answer
        .chunks_exact(width)
        .flat_map(|cell| {
            let corners = [1, 2, 3, 4].map(|k| cell[classes + k]);
            let score = move |class: usize| (logistic(cell[class]) * logistic(cell[classes])).sqrt() as f32;
            (0..classes).map(move |class| Found { class, score: score(class), corners })
        })
        .filter(|found| found.score >= least)
        .collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    suppressed(candidates)
}

/// What is left of boxes, best first, when each that overlaps a better one of its class is dropped.
pub fn suppressed(candidates: Vec<Found>) -> Vec<Found> {
    let mut kept: Vec<Found> = vec![];
    for found in candidates {
        if kept.len() == MOST {
            break;
        }
        let hides = |other: &Found| other.class == found.class && iou(other.corners, found.corners) > OVERLAP;
        if !kept.iter().any(hides) {
            kept.push(found);
        }
    }
    kept
}

fn logistic(x: f32) -> f64 {
    1.0 / (1.0 + libm::exp(-f64::from(x)))
}
