//! Where a graph's leaves get their numbers.

use super::{Noise, Weights};
use crate::base::Type;
use crate::data::{Array, Batch};
use crate::graph::Leaf;

/// The numbers of a leaf.
pub enum Feed {
    Numbers(Vec<f32>),
    Ids(Vec<i64>),
}

/// The value of a leaf for a batch. A target that a batch does not carry is missing for every row.
pub fn feed(leaf: &Leaf, ty: &Type, weights: &Weights, batch: &Batch, noise: Option<Noise>) -> Feed {
    match leaf {
        Leaf::Input(name) | Leaf::Target(name) => match batch.values.get(name) {
            Some(Array::F32 { data, .. }) => Feed::Numbers(data.clone()),
            Some(Array::I64 { data, .. }) => Feed::Ids(data.clone()),
            None if ty.dtype == crate::base::DType::I64 => Feed::Ids(vec![-1; ty.elements(batch.size)]),
            None => Feed::Numbers(vec![0.0; ty.elements(batch.size)]),
        },
        Leaf::Presence(name) => {
            Feed::Numbers(batch.present.get(name).cloned().unwrap_or_else(|| vec![0.0; batch.size]))
        }
        Leaf::Parameter(path) => Feed::Numbers(weights.get(path).data.clone()),
        Leaf::Mask { .. } | Leaf::Share { .. } => {
            let noise = noise.expect("what is drawn stands only in graphs that are trained");
            let mut drawn = vec![0.0; ty.elements(batch.size)];
            noise.draw(leaf, &mut drawn);
            Feed::Numbers(drawn)
        }
    }
}
