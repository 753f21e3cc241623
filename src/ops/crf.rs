//! `crf`: the negative log-likelihood of a path of labels in a conditional random field (Lafferty et al. 2001).
//!
//! `L` is the mean of `ln Z − score(y)` over the sequences that have a label somewhere, where `Z = Σ_y e^score(y)` runs over all
//! paths of labels over the labelled places; [`chain`](super::chain) says what a path scores. Prediction of
//! `[batch, tokens, n · (n + 2)]`, as [`potentials`](super::potentials) makes it, with labels of `[batch, tokens]`. A negative label,
//! or one beyond the `n`, is none: its place is passed over, at an end as in the middle. Its gradient is how likely each step is,
//! minus 1 for the steps of `y`. Agrees with `pytorch-crf` where the unlabelled places are the last ones.

use super::chain::{self, Chain};
use super::operation::{Mismatch, Operation, require};
use super::presence::{classification, nothing};
use super::sound::scalar;
use super::value::{Tape, Value, take};
use crate::base::Type;
use dfdx::prelude::HasShape;
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crf {}

impl Operation for Crf {
    const NAME: &'static str = "crf";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let (width, output) = classification(Self::NAME, inputs)?;
        let sequence = inputs[0].inner().len() == 2;
        require(sequence && chain::labels(width).is_some(), || {
            format!(
                "`{}` takes the scores of a chain, f32[tokens, n · (n + 2)], and got {}",
                Self::NAME,
                inputs[0].example()
            )
        })
        .map_err(|m| m.help("end the head in the layer `crf`"))?;
        Ok(output)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [prediction, target, presence] = take(inputs);
        let (x, ids, presence) = (prediction.r3(), target.ids(), presence.to_vec());
        let &(_, tokens, width) = x.shape();
        let labels = chain::labels(width).expect("the signature asks for it");
        let rows: Vec<usize> = (0..presence.len())
            .filter(|&row| presence[row] != 0.0)
            .filter(|&row| chain::labelled(&ids.data[row * tokens..][..tokens], labels).next().is_some())
            .collect();
        if rows.is_empty() {
            return nothing();
        }
        let loss = |scores: &[f32]| {
            let (mut sum, mut gradient, mut work) = (0.0, vec![0.0; scores.len()], vec![]);
            for &row in &rows {
                let at = row * tokens * width..(row + 1) * tokens * width;
                let slope = (&mut gradient[at.clone()], 1.0 / rows.len() as f64);
                let own = &ids.data[row * tokens..][..tokens];
                sum += Chain::new(&scores[at], labels).surprise(own, &mut work, Some(slope)).unwrap_or(0.0);
            }
            ((sum / rows.len() as f64) as f32, gradient)
        };
        scalar(x, loss).into()
    }

    /// Three exponentials for each score.
    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        12 * inputs[0].elements(1) as u64
    }
}
