//! CPU kernels: the meaning of an op's definition, at the machine's speed.
//!
//! A kernel computes a value from its inputs, and hands a gradient back to them. It says what its pull-back reads, so that the
//! memory plan keeps nothing else. All slices are row-major and of exactly their shape's length; inputs that the pull-back does
//! not need arrive empty. A kernel is one file and one line in the list below; an op without one runs by its definition.

mod activation;
mod add;
pub mod arena;
mod attention;
mod bank;
mod chain;
mod channels;
mod conv;
pub mod depthwise;
mod detect;
mod fold;
mod function;
mod gate;
pub mod gradients;
mod group_norm;
mod lanes;
mod layer_norm;
mod linear;
mod loss;
mod low_precision;
mod low_rank;
pub mod math;
mod moments;
mod norm;
mod pages;
pub mod parallel;
mod part;
pub mod peak;
mod pool;
mod product;
mod relayout;
mod resample;
mod rows;
mod scale;
mod sequence;
mod shape;
mod softmax;
mod team;
pub mod tile;
pub mod together;
mod token;
mod unfold;

use crate::ops::Op;

/// An input of a kernel.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Numbers(&'a [f32]),
    Ids(&'a [i64]),
    /// What [`Kernel::prepare`] made of the input.
    Prepared(&'a [f32]),
}

impl<'a> Input<'a> {
    pub fn numbers(self) -> &'a [f32] {
        match self {
            Input::Numbers(numbers) => numbers,
            Input::Ids(_) | Input::Prepared(_) => panic!("bug: something else where the verifier found numbers"),
        }
    }

    pub fn ids(self) -> &'a [i64] {
        match self {
            Input::Ids(ids) => ids,
            Input::Numbers(_) | Input::Prepared(_) => panic!("bug: numbers where the verifier found indices"),
        }
    }
}

/// The concrete shapes of a call, and how it is made.
#[derive(Clone, Debug)]
pub struct Shapes {
    /// Of what they mean: a feature map is `[batch, channels, height, width]` in either order.
    pub inputs: Vec<Vec<usize>>,
    pub output: Vec<usize>,
    /// Whether feature maps, the result among them, are stored as `[batch, height, width, channels]`.
    pub channels_last: bool,
    /// Whether the call belongs to a training step. Only other calls may trade accuracy for speed.
    pub trains: bool,
    /// Outputs in each direction of the largest tile that Winograd's minimal filtering may take: 4, 2, or 0 for none.
    pub winograd: usize,
}

impl Shapes {
    /// Shapes of a call in row-major order, outside of training.
    pub fn new(inputs: Vec<Vec<usize>>, output: Vec<usize>) -> Self {
        Self { inputs, output, channels_last: false, trains: false, winograd: 4 }
    }
}

/// Where a pull-back leaves the gradient of an input.
pub struct Gradient<'a> {
    pub data: &'a mut [f32],
    /// Add to what is there, or write over it.
    pub add: bool,
}

impl Gradient<'_> {
    /// Writes or adds `value(i)` for every element.
    pub fn set(&mut self, value: impl Fn(usize) -> f32 + Sync) {
        let add = self.add;
        parallel::long(self.data, |start, piece| {
            let numbered = piece.iter_mut().zip(start..);
            if add {
                numbered.for_each(|(g, i)| *g += value(i));
            } else {
                numbered.for_each(|(g, i)| *g = value(i));
            }
        });
    }

    /// Writes or adds `value(a[i], b[i])` for every element. What is more than an operation or two must be `#[inline(always)]`, and
    /// is compiled for the widest vectors.
    pub fn set_by(&mut self, a: &[f32], b: &[f32], value: impl Fn(f32, f32) -> f32 + Sync) {
        let add = self.add;
        parallel::long(self.data, |start, piece| {
            let (a, b) = (&a[start..][..piece.len()], &b[start..][..piece.len()]);
            math::vectorised(
                #[inline(always)]
                || {
                    // Loops, because `for_each` may end up in a function of its own, for lesser vectors.
                    let each = piece.iter_mut().zip(a).zip(b);
                    if add {
                        for ((g, a), b) in each {
                            *g += value(*a, *b);
                        }
                    } else {
                        for ((g, a), b) in each {
                            *g = value(*a, *b);
                        }
                    }
                },
            );
        });
    }
}

/// What a pull-back gets besides the places of its results.
pub struct Backward<'a> {
    pub inputs: &'a [Input<'a>],
    /// The result of the forward pass; empty when it is not needed.
    pub output: &'a [f32],
    /// The gradient of the result.
    pub cotangent: &'a [f32],
    pub shapes: &'a Shapes,
}

pub trait Kernel {
    /// Whether the pull-back reads input `i`, and whether it reads the result.
    fn reads(&self, i: usize) -> bool;
    fn reads_output(&self) -> bool {
        false
    }

    /// How many numbers the forward pass makes of input `i` before it reads it; nothing where it reads the input as it is.
    fn prepared_len(&self, _i: usize, _shapes: &Shapes) -> Option<usize> {
        None
    }

    /// Writes them: the same numbers packed, or transformed. `into` has the length that was told. The engine calls it once for a
    /// weight that does not move, and hands the result over as [`Input::Prepared`]; a weight that moves comes as it is.
    fn prepare(&self, i: usize, _numbers: &[f32], _shapes: &Shapes, _into: &mut [f32]) {
        unreachable!("input {i} is read as it is");
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]);

    /// Leaves the gradient of every input that has a place.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]);
}

macro_rules! kernels {
    ($($op:ident),* $(,)?) => {
        /// The kernel of an op, if it has one.
        pub fn find(op: &Op) -> Option<&dyn Kernel> {
            match op {
                $(Op::$op(op) => Some(op),)*
                #[allow(unreachable_patterns, reason = "a new op may come without a kernel")]
                _ => None,
            }
        }
    };
}

kernels! {
    Linear,
    Conv2d,
    ConvTranspose2d,
    MaxPool2d,
    GlobalAvgPool,
    AvgPool2d,
    AdaptiveAvgPool2d,
    Upsample,
    Detect,
    Concat,
    Slice,
    Reverse,
    Permute,
    Relayout,
    Relu,
    Relu6,
    LeakyRelu,
    Hardswish,
    Hardsigmoid,
    Silu,
    Gelu,
    Tanh,
    Sigmoid,
    Add,
    Mul,
    Blend,
    ScaleChannels,
    AddRows,
    Prepend,
    Scale,
    LowRank,
    Dropout,
    Flatten,
    Reshape,
    ChannelMean,
    ChannelVar,
    BatchNorm,
    ScaleFilters,
    FoldBias,
    LayerNorm,
    GroupNorm,
    Attention,
    Embedding,
    MaskedMean,
    NormalizeL2,
    Present,
    Potentials,
    Softmax,
    WeightedSum,
    Balance,
    CrossEntropy,
    Focal,
    Ordinal,
    Crf,
    Dice,
    BceWithLogits,
    Mse,
    L1,
    Huber,
    SmoothL1,
    Berhu,
    Silog,
    Cosine,
    Detection,
}
