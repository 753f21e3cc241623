//! Layers: what a chain is made of. A layer is one file and one line in [`LAYERS`].

use super::cell::{Cell, Fault};
use crate::base::signature::Signature;
use crate::graph::ValueId;

mod activation;
mod attention;
mod batch_norm;
mod class_token;
mod concat;
mod conv;
mod conv_transpose;
mod crf;
mod detect;
mod dropout;
mod embedding;
mod encoder;
mod flatten;
mod gate;
mod group_norm;
mod layer_norm;
mod linear;
mod mean_tokens;
mod merge;
mod norm;
mod pool;
mod position;
mod repeat;
mod reshape;
mod residual;
mod segment;
mod slice;
mod spatial;
mod stitch;
mod transpose;
mod unit_length;
mod upsample;

pub use spatial::PADDING;

/// A layer of the language.
pub trait Layer: Sync {
    fn signature(&self) -> &'static Signature;

    /// The kind that `freeze KIND in …` knows it by.
    fn kind(&self) -> &'static str;

    /// Adds the layer behind `x`. The arguments are bound by the signature.
    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault>;
}

/// Every layer, in the order of the reference.
pub static LAYERS: &[&dyn Layer] = &[
    &linear::Linear,
    &conv::Conv,
    &conv::Depthwise,
    &conv_transpose::ConvTranspose,
    &pool::MAX,
    &pool::AVERAGE,
    &pool::Adaptive,
    &pool::Global,
    &norm::Norm,
    &batch_norm::BatchNorm,
    &layer_norm::LayerNorm,
    &group_norm::GroupNorm,
    &dropout::Dropout,
    &activation::RELU,
    &activation::RELU6,
    &activation::LEAKY_RELU,
    &activation::GELU,
    &activation::SILU,
    &activation::HARDSWISH,
    &activation::HARDSIGMOID,
    &activation::SIGMOID,
    &activation::TANH,
    &activation::SOFTMAX,
    &embedding::Embedding,
    &position::Position,
    &segment::Segment,
    &class_token::ClassToken,
    &attention::Attention,
    &encoder::Encoder,
    &mean_tokens::MeanTokens,
    &class_token::FirstToken,
    &crf::Crf,
    &unit_length::UnitLength,
    &flatten::Flatten,
    &flatten::Tokens,
    &reshape::Reshape,
    &transpose::Transpose,
    &slice::Slice,
    &upsample::Upsample,
    &detect::Detect,
    &residual::Residual,
    &gate::Gate,
    &concat::Concat,
    &merge::Sum,
    &merge::Mean,
    &merge::Product,
    &merge::Mixture,
    &stitch::Stitch,
    &repeat::Repeat,
];

/// The layer of that name.
pub fn find(name: &str) -> Option<&'static dyn Layer> {
    LAYERS.iter().copied().find(|l| l.signature().name == name)
}
