//! `auroc`: the area under the receiver operating characteristic.
//!
//! It is the chance that a positive scores above a negative, equal scores counting half. With `P` positives and `N` negatives,
//! and `R` the sum of the positives' ranks among all scores (equal scores share their mean rank),
//! `AUROC = (R − P·(P + 1)/2) / (P·N)` (Mann and Whitney, 1947; Hanley and McNeil, 1982).
//!
//! - Two classes: the score is `logit₁ − logit₀`, which ranks as the probability of class 1 does.
//! - More classes: each class against the rest by its softmax probability, averaged over classes (`multi_class="ovr"`,
//!   `average="macro"` in scikit-learn). Scores are log-probabilities, which rank alike and do not round to ties at 0 and 1.
//! - A number per label: each label by its logit, averaged over labels.
//!
//! A class of which all or none of the elements are has no area and is left out of the average; where none is left the value
//! is `None`. Every score is kept until the end: 8 bytes per class and element.

use super::elements::{Element, Logits, at, average, each};
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "auroc",
    kind: PartKind::Metric,
    summary: "chance that a positive scores above a negative",
    params: &[PREDICTION, TARGET],
};

pub fn build(_args: &Args) -> Box<dyn Metric> {
    Box::new(Auroc::default())
}

/// The scores and truths of one class against the rest.
#[derive(Default)]
struct Scores {
    scores: Vec<f64>,
    positive: Vec<bool>,
}

#[derive(Default)]
pub struct Auroc {
    classes: Vec<Scores>,
    nan: bool,
}

impl Auroc {
    fn add(&mut self, class: usize, score: f64, positive: bool) {
        self.nan |= score.is_nan();
        let list = at(&mut self.classes, class);
        list.scores.push(score);
        list.positive.push(positive);
    }
}

impl Metric for Auroc {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        each(prediction, truth, present, |element| match element {
            Element::Class { logits, class } if logits.classes == 2 => {
                self.add(0, f64::from(logits.get(1)) - f64::from(logits.get(0)), class == 1);
            }
            Element::Class { logits, class } => {
                let rest = log_sum_exp(&logits);
                for c in 0..logits.classes {
                    self.add(c, f64::from(logits.get(c)) - rest, c == class);
                }
            }
            Element::Number { predicted, truth, channel } => self.add(channel, f64::from(predicted), truth > 0.5),
        });
    }

    fn value(&self) -> Option<f64> {
        if self.nan { Some(f64::NAN) } else { average(self.classes.iter().map(Scores::area)) }
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }
}

/// `log Σ_c exp(x_c)`, shifted by the largest logit so that nothing overflows.
fn log_sum_exp(logits: &Logits) -> f64 {
    let most = f64::from(logits.get(logits.argmax()));
    most + libm::log(logits.iter().map(|x| libm::exp(f64::from(x) - most)).sum())
}

impl Scores {
    fn area(&self) -> Option<f64> {
        let positives = self.positive.iter().filter(|&&p| p).count();
        let negatives = self.positive.len() - positives;
        if positives == 0 || negatives == 0 {
            return None;
        }
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|&a, &b| self.scores[a].total_cmp(&self.scores[b]));
        // Twice the ranks, so that mean ranks are integers and their sum is exact.
        let (mut ranks, mut below) = (0u128, 0u128);
        for ties in order.chunk_by(|&a, &b| self.scores[a] == self.scores[b]) {
            let hits = ties.iter().filter(|&&i| self.positive[i]).count() as u128;
            ranks += hits * (2 * below + ties.len() as u128 + 1);
            below += ties.len() as u128;
        }
        let (p, n) = (positives as u128, negatives as u128);
        Some((ranks - p * (p + 1)) as f64 / (2 * p * n) as f64)
    }
}
