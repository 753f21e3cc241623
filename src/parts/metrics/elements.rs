//! Walks over the elements of a batch that have a label, so that no metric deals with shapes or missing labels.
//!
//! Vectors lie along the channel axis: the classes of a logit vector, or the outputs of a regression. It is the last axis of
//! `[rows, C]` and of `[rows, S, C]` (a vector per token), and the second of `[rows, C, H, W]` (a vector per pixel).

use super::{Prediction, Truth};

/// The axis of classes or outputs in a prediction of this rank, if there is one.
pub fn channel_axis(rank: usize) -> Option<usize> {
    match rank {
        2 => Some(1),
        3 => Some(2),
        4 => Some(1),
        _ => None,
    }
}

/// The logits of one row, token or pixel.
#[derive(Clone, Copy)]
pub struct Logits<'a> {
    values: &'a [f32],
    start: usize,
    stride: usize,
    pub classes: usize,
}

impl Logits<'_> {
    pub fn get(&self, class: usize) -> f32 {
        self.values[self.start + class * self.stride]
    }

    pub fn iter(&self) -> impl Iterator<Item = f32> + '_ {
        (0..self.classes).map(|class| self.get(class))
    }

    pub fn has_nan(&self) -> bool {
        self.iter().any(f32::is_nan)
    }

    /// The class of the largest logit, the first of equals.
    pub fn argmax(&self) -> usize {
        (1..self.classes).fold(0, |best, class| if self.get(class) > self.get(best) { class } else { best })
    }
}

/// One element with a label.
pub enum Element<'a> {
    /// A vector of logits, and its class.
    Class { logits: Logits<'a>, class: usize },
    /// A number, what it should be, and its place on the channel axis.
    Number { predicted: f32, truth: f32, channel: usize },
}

/// Calls `visit` for every element with a label, in row-major order.
pub fn each(prediction: Prediction, truth: Truth, present: &[f32], mut visit: impl FnMut(Element)) {
    let Prediction { values, dims } = prediction;
    let rows = dims.first().copied().unwrap_or(1);
    assert!(
        values.len() == dims.iter().product::<usize>() && present.len() == rows,
        "bug: a batch does not fill its shape"
    );
    let axis = channel_axis(dims.len());
    let channels = axis.map_or(1, |axis| dims[axis]);
    let stride = axis.map_or(1, |axis| dims[axis + 1..].iter().product());
    let there = |element: usize, elements: usize| present[element * rows / elements] > 0.0;
    match truth {
        Truth::Classes { ids } => {
            assert_eq!(ids.len() * channels, values.len(), "bug: one class for every vector of logits");
            for (i, &id) in ids.iter().enumerate() {
                let Ok(class) = usize::try_from(id) else { continue };
                if there(i, ids.len()) {
                    let start = i / stride * stride * channels + i % stride;
                    visit(Element::Class { logits: Logits { values, start, stride, classes: channels }, class });
                }
            }
        }
        Truth::Numbers { values: truths } => {
            assert_eq!(truths.len(), values.len(), "bug: one number for every predicted number");
            for (i, (&predicted, &truth)) in values.iter().zip(truths).enumerate() {
                if !truth.is_nan() && there(i, truths.len()) {
                    visit(Element::Number { predicted, truth, channel: i / stride % channels });
                }
            }
        }
    }
}

/// Calls `visit` with every predicted vector along the channel axis and the true one, in row-major order, where the row is present
/// and no number of the true one is missing.
pub fn vectors(prediction: Prediction, truth: Truth, present: &[f32], mut visit: impl FnMut(Logits, Logits)) {
    // `accepts` admits numbers alone.
    let Truth::Numbers { values: truths } = truth else { return };
    let Prediction { values, dims } = prediction;
    let rows = dims.first().copied().unwrap_or(1);
    let axis = channel_axis(dims.len());
    let channels = axis.map_or(1, |axis| dims[axis]);
    let stride: usize = axis.map_or(1, |axis| dims[axis + 1..].iter().product());
    let vectors = values.len() / channels.max(1);
    assert!(values.len() == truths.len() && present.len() == rows, "bug: a batch does not fill its shape");
    for i in (0..vectors).filter(|i| present[i * rows / vectors] > 0.0) {
        let start = i / stride * stride * channels + i % stride;
        let [predicted, wanted] = [values, truths].map(|values| Logits { values, start, stride, classes: channels });
        if !wanted.has_nan() {
            visit(predicted, wanted);
        }
    }
}

/// The mean of the values of the channels that have one; `None` when none has.
pub fn average(channels: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = channels.flatten().fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// The entry of a channel, growing the list to it.
pub fn at<T: Default>(list: &mut Vec<T>, channel: usize) -> &mut T {
    if list.len() <= channel {
        list.resize_with(channel + 1, T::default);
    }
    &mut list[channel]
}
