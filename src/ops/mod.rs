//! What a node of the graph can do.
//!
//! Every op is *defined* once, as an expression on rank-typed dfdx tensors that is generic over the tape: on `NoneTape`
//! it computes values (frozen parts, serving), on `OwnedTape` it also records its gradient. A definition is short and
//! obviously right; kernels, where they exist, mean the same. Beside the definition stand the op's signature (the type
//! of its result, or why its inputs do not fit) and its cost.
//!
//! An op is one file and one line in the list at the end of this file. Beside the ops stand [`value`], what definitions
//! compute with; [`operation`], what an op says about itself; [`sound`], the few tape ops that dfdx lacks or gets
//! wrong; [`epilogue`], what an op may do to its result before it leaves; [`precision`], the numbers a product is computed in;
//! [`window`] and [`presence`], what convolutions and pools, and what losses, have in common; [`assignment`], which cells of a
//! detector answer for which boxes; [`chain`], sequences of labels; and [`pullback`], an op with its gradient for one cotangent.

pub mod assignment;
pub mod chain;
pub mod epilogue;
pub mod operation;
pub mod precision;
pub mod presence;
pub mod pullback;
pub mod sound;
pub mod value;
pub mod window;

pub use operation::{Maps, Mismatch, Operation};
pub use value::{Ids, Tape, Value};

use crate::base::Type;
use serde::{Deserialize, Serialize};

/// Declares the ops: one line each, `file::Type`.
macro_rules! ops {
    ($($module:ident :: $op:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// Any op, with its attributes.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Op {
            $($op($module::$op),)*
        }

        impl Op {
            /// The name of every op, in the order of the list.
            pub const NAMES: &'static [&'static str] = &[$($module::$op::NAME),*];

            pub fn name(&self) -> &'static str {
                match self { $(Op::$op(_) => $module::$op::NAME,)* }
            }

            /// The type of the result, or why the inputs do not fit. Whatever this accepts, [`Op::define`] computes.
            pub fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
                operation::well_formed(self.name(), inputs)?;
                let output = match self { $(Op::$op(op) => op.signature(inputs),)* }?;
                operation::well_formed(self.name(), std::slice::from_ref(&output))?;
                Ok(output)
            }

            /// Floating-point operations for a batch of one.
            pub fn flops(&self, inputs: &[Type], output: &Type) -> u64 {
                let own = match self { $(Op::$op(op) => op.flops(inputs, output),)* };
                own.saturating_add(self.epilogue().flops(output))
            }

            /// Whether a gradient flows to input `i` at all.
            pub fn differentiates(&self, input: usize) -> bool {
                match self { $(Op::$op(op) => op.differentiates(input),)* }
            }

            /// Whether a result with a row for each example computes it from that example's rows alone.
            pub fn is_by_row(&self) -> bool {
                match self { $(Op::$op(op) => op.is_by_row(),)* }
            }

            /// Whether the result is the first input's numbers in their order, under another shape.
            pub fn is_view(&self, inputs: &[Type]) -> bool {
                match self { $(Op::$op(op) => op.is_view(inputs),)* }
            }

            /// Whether the gradient of input `i` is that of the result, number by number.
            pub fn passes(&self, i: usize, inputs: &[Type]) -> bool {
                match self { $(Op::$op(op) => op.passes(i, inputs),)* }
            }

            /// In which order the op takes its feature maps.
            pub fn maps(&self, inputs: &[Type]) -> Maps {
                match self { $(Op::$op(op) => op.maps(inputs),)* }
            }

            /// Computes the op by its definition, recording its gradient when the tape is an `OwnedTape`.
            ///
            /// `output` is the type that [`Op::signature`] gave. Where a batch of no examples comes in or goes out, the
            /// result is zeros and nothing is recorded, since dfdx's own ops may panic on empty tensors. The result is
            /// contiguous and has an identity of its own.
            pub fn define<T: Tape>(&self, inputs: Vec<Value<T>>, output: &Type, batch: usize) -> Value<T> {
                let empty = output.is_batched() || inputs.iter().any(|x| x.dims().contains(&0));
                if batch == 0 && empty {
                    return Value::zeros(&output.at(0));
                }
                let value = match self { $(Op::$op(op) => op.define(inputs),)* };
                value.contiguous()
            }
        }

        $(impl From<$module::$op> for Op {
            fn from(op: $module::$op) -> Self {
                Op::$op(op)
            }
        })*
    };
}

ops! {
    linear::Linear,
    conv2d::Conv2d,
    conv_transpose2d::ConvTranspose2d,
    embedding::Embedding,
    attention::Attention,

    max_pool2d::MaxPool2d,
    avg_pool2d::AvgPool2d,
    adaptive_avg_pool2d::AdaptiveAvgPool2d,
    global_avg_pool::GlobalAvgPool,
    masked_mean::MaskedMean,
    upsample::Upsample,
    detect::Detect,

    channel_mean::ChannelMean,
    channel_var::ChannelVar,
    batch_norm::BatchNorm,
    scale_filters::ScaleFilters,
    fold_bias::FoldBias,
    layer_norm::LayerNorm,
    group_norm::GroupNorm,
    normalize_l2::NormalizeL2,
    dropout::Dropout,

    relu::Relu,
    relu6::Relu6,
    leaky_relu::LeakyRelu,
    gelu::Gelu,
    silu::Silu,
    hardswish::Hardswish,
    hardsigmoid::Hardsigmoid,
    sigmoid::Sigmoid,
    tanh::Tanh,
    softmax::Softmax,

    add::Add,
    mul::Mul,
    blend::Blend,
    reverse::Reverse,
    scale_channels::ScaleChannels,
    add_rows::AddRows,
    prepend::Prepend,
    scale::Scale,
    low_rank::LowRank,
    concat::Concat,
    flatten::Flatten,
    reshape::Reshape,
    permute::Permute,
    relayout::Relayout,
    slice::Slice,
    present::Present,
    potentials::Potentials,

    cross_entropy::CrossEntropy,
    focal::Focal,
    ordinal::Ordinal,
    crf::Crf,
    dice::Dice,
    bce_with_logits::BceWithLogits,
    mse::Mse,
    l1::L1,
    huber::Huber,
    smooth_l1::SmoothL1,
    berhu::Berhu,
    silog::Silog,
    cosine::Cosine,
    detection::Detection,

    weighted_sum::WeightedSum,
    balance::Balance,
}
