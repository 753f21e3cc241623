//! `top_k`: the share of labels among the `k` largest logits.
//!
//! Equal logits rank in the order of their classes, so `top_k(…, k: 1)` is `accuracy`. With `k` of at least the number of
//! classes it is 1.

use super::accuracy::Share;
use super::elements::{Element, each};
use super::{Direction, Metric, PREDICTION, Prediction, TARGET, Truth};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};

pub static SIGNATURE: Signature = Signature {
    name: "top_k",
    kind: PartKind::Metric,
    summary: "share of labels among the k most likely classes",
    params: &[PREDICTION, TARGET, Param::with("k", Kind::Count, "5", "how many classes may be named")],
};

pub fn build(args: &Args) -> Box<dyn Metric> {
    Box::new(TopK { k: args.size("k"), share: Share::default() })
}

pub struct TopK {
    pub k: usize,
    pub share: Share,
}

impl Metric for TopK {
    fn update(&mut self, prediction: Prediction, truth: Truth, present: &[f32]) {
        each(prediction, truth, present, |element| {
            // `accepts` admits classes alone.
            let Element::Class { logits, class } = element else { return };
            let right = class < logits.classes && {
                let own = logits.get(class);
                let before = logits.iter().enumerate().filter(|&(c, x)| x > own || (x == own && c < class));
                before.count() < self.k
            };
            self.share.add(right, logits.has_nan());
        });
    }

    fn value(&self) -> Option<f64> {
        self.share.value()
    }

    fn direction(&self) -> Direction {
        Direction::Higher
    }
}
