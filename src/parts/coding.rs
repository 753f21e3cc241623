//! How the values of a head stand for classes, and the classes that they name.
//!
//! The loss of a head decides it. Metrics know scores of classes only; what is coded otherwise comes to them as 1 for the class
//! that is named and 0 for the others. In come the values of a batch with their shape, the rows first; out comes the same for
//! scores. What is NaN names no class, and stays NaN.

use crate::base::{Dim, Type};
use crate::ops::chain::{self, Chain};
use crate::parts::metrics::elements::channel_axis;

/// What the values along the channel axis are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// A score for each class; the largest names it.
    #[default]
    Scores,
    /// The scores of a chain of labels, see [`chain`]; its best path names them.
    Chain,
    /// A logit for each step from a class to the next, positive where the class lies above; so many positive ones name it.
    Steps,
}

impl Coding {
    /// How many values stand for so many classes.
    pub fn width(self, classes: usize) -> usize {
        match self {
            Coding::Scores => classes,
            Coding::Chain => chain::width(classes),
            Coding::Steps => classes.saturating_sub(1),
        }
    }

    /// How many classes so many values stand for, where they do.
    pub fn classes(self, width: usize) -> Option<usize> {
        match self {
            Coding::Scores => Some(width),
            Coding::Chain => chain::labels(width),
            Coding::Steps => Some(width.saturating_add(1)),
        }
    }

    /// How a head ends that tells so many classes apart.
    pub fn ending(self, classes: usize) -> String {
        match self {
            Coding::Scores => format!("let the head end in {classes} values"),
            Coding::Chain => format!("end the head in `linear({classes}) -> crf`"),
            Coding::Steps => {
                format!(
                    "let the head end in {} values, one for each step from a class to the next",
                    self.width(classes)
                )
            }
        }
    }

    /// The type of the scores that values of that type stand for, where they do.
    pub fn decoded(self, ty: &Type) -> Option<Type> {
        let axis = channel_axis(ty.rank())?;
        let Dim::Size(width) = ty.dims[axis] else { return None };
        let mut decoded = ty.clone();
        decoded.dims[axis] = Dim::Size(self.classes(width)?);
        Some(decoded)
    }

    /// The values of a batch as scores of classes, and their shape. A chain runs over the places of a row of which `counts`
    /// says so; elsewhere its scores are 0.
    pub fn scores(
        self,
        values: &[f32],
        dims: &[usize],
        counts: impl Fn(usize, usize) -> bool,
    ) -> (Vec<f32>, Vec<usize>) {
        let mut decoded = dims.to_vec();
        let Some(axis) = channel_axis(dims.len()) else { return (values.to_vec(), decoded) };
        let Some(classes) = self.classes(dims[axis]) else { return (values.to_vec(), decoded) };
        decoded[axis] = classes;
        match self {
            Coding::Scores => (values.to_vec(), decoded),
            Coding::Chain => (paths(values, dims, classes, counts), decoded),
            Coding::Steps => {
                let inner: usize = dims[axis + 1..].iter().product();
                let blocks = values.chunks_exact((dims[axis] * inner).max(1));
                let scores = blocks.flat_map(|block| {
                    let step = move |i: usize| (0..dims[axis]).map(move |k| block[k * inner + i]);
                    let named: Vec<Option<usize>> = (0..inner).map(|i| above(step(i))).collect();
                    (0..classes * inner).map(move |at| match named[at % inner] {
                        None => f32::NAN,
                        Some(class) => f32::from(u8::from(class == at / inner)),
                    })
                });
                (scores.collect(), decoded)
            }
        }
    }
}

/// The class that the logits of its steps name, the number of those above 0; none where one is NaN.
pub fn above(steps: impl Iterator<Item = f32>) -> Option<usize> {
    steps.map(|x| (!x.is_nan()).then_some(usize::from(x > 0.0))).sum()
}

/// 1 for each label of the best path, 0 for the others; NaN where a score is.
fn paths(values: &[f32], dims: &[usize], labels: usize, counts: impl Fn(usize, usize) -> bool) -> Vec<f32> {
    let (rows, tokens) = (dims[0], dims[1]);
    let mut scores = vec![0.0; rows * tokens * labels];
    for (row, values) in values.chunks_exact((tokens * dims[2]).max(1)).enumerate() {
        let chain = Chain::new(values, labels);
        let places: Vec<usize> = (0..tokens).filter(|&place| counts(row, place)).collect();
        for (&place, label) in places.iter().zip(chain.best(&places)) {
            let own = &mut scores[(row * tokens + place) * labels..][..labels];
            if chain.has_nan(place) {
                own.fill(f32::NAN);
            } else {
                own[label] = 1.0;
            }
        }
    }
    scores
}
