//! A graph that is made by hand, one value after the other.

use mtlc::base::{DType, Type};
use mtlc::graph::{Builder, Graph, Init, Mode, Purpose, Role, ValueId, verify};
use mtlc::ops::batch_norm::BatchNorm;
use mtlc::ops::conv_transpose2d::ConvTranspose2d;
use mtlc::ops::conv2d::Conv2d;
use mtlc::ops::epilogue::Epilogue;
use mtlc::ops::{self, Op};

/// A graph that is made by hand.
pub struct Net(pub Builder);

impl Net {
    pub fn new(mode: Mode) -> Net {
        Net(Builder::new("net", mode))
    }

    /// An input of feature maps.
    pub fn maps(&mut self, channels: usize) -> ValueId {
        self.0.input(&format!("x{channels}"), Type::batched(DType::F32, &[channels, 4, 5]))
    }

    pub fn channels(&self, x: ValueId) -> usize {
        self.0.ty(x).inner()[0]
    }

    pub fn parameter(&mut self, path: &str, dims: &[usize], role: Role) -> ValueId {
        let init = if path.ends_with("var") { Init::Ones } else { Init::Uniform(0.5) };
        self.0.parameter(path, dims, init, role, "test")
    }

    pub fn op(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        let op = op.into();
        let path = op.name();
        self.0.op(op, inputs, path).expect("inputs that fit")
    }

    /// A convolution that keeps the size of the maps.
    pub fn conv(&mut self, path: &str, x: ValueId, out: usize, role: Role) -> ValueId {
        let w = self.parameter(&format!("{path}.w"), &[out, self.channels(x), 3, 3], role);
        let op = Conv2d {
            stride: [1, 1],
            padding: [1; 4],
            dilation: [1, 1],
            groups: 1,
            bias: false,
            epilogue: Epilogue::default(),
            precision: Default::default(),
        };
        self.op(op, &[x, w])
    }

    pub fn linear(&mut self, path: &str, x: ValueId, out: usize, role: Role) -> ValueId {
        let width = *self.0.ty(x).inner().last().expect("an axis");
        let w = self.parameter(&format!("{path}.w"), &[out, width], role);
        let b = self.parameter(&format!("{path}.b"), &[out], role);
        self.op(ops::linear::Linear { bias: true, ..Default::default() }, &[x, w, b])
    }

    pub fn deconv(&mut self, path: &str, x: ValueId, per_group: usize, groups: usize) -> ValueId {
        let w = self.parameter(&format!("{path}.w"), &[self.channels(x), per_group, 2, 2], Role::Frozen);
        let op = ConvTranspose2d {
            stride: [2, 2],
            padding: [0, 0],
            output_padding: [0, 0],
            dilation: [1, 1],
            groups,
            bias: false,
        };
        self.op(op, &[x, w])
    }

    pub fn norm_by(&mut self, path: &str, x: ValueId, moments: [ValueId; 2], role: Role) -> ValueId {
        let channels = self.channels(x);
        let [gamma, beta] = ["gamma", "beta"].map(|name| self.parameter(&format!("{path}.{name}"), &[channels], role));
        let op = BatchNorm { epsilon: 1e-3, own_moments: false, epilogue: Epilogue::default() };
        self.op(op, &[x, moments[0], moments[1], gamma, beta])
    }

    /// A norm by running statistics.
    pub fn norm(&mut self, path: &str, x: ValueId, role: Role) -> ValueId {
        let statistic = if role == Role::Frozen { Role::FrozenStatistic } else { Role::Statistic };
        let channels = self.channels(x);
        let moments = ["mean", "var"].map(|name| self.parameter(&format!("{path}.{name}"), &[channels], statistic));
        self.norm_by(path, x, moments, role)
    }

    pub fn moments(&mut self, x: ValueId) -> [ValueId; 2] {
        let mean = self.op(ops::channel_mean::ChannelMean {}, &[x]);
        [mean, self.op(ops::channel_var::ChannelVar {}, &[x, mean])]
    }

    pub fn relu(&mut self, x: ValueId) -> ValueId {
        self.op(ops::relu::Relu {}, &[x])
    }

    pub fn gelu(&mut self, x: ValueId) -> ValueId {
        self.op(ops::gelu::Gelu { approximate: false }, &[x])
    }

    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(ops::add::Add {}, &[a, b])
    }

    pub fn finish(mut self, outputs: &[ValueId]) -> Graph {
        for (i, value) in outputs.iter().enumerate() {
            self.0.output(&format!("y{i}"), Purpose::Head, *value);
        }
        let graph = self.0.finish();
        verify(&graph).expect("a graph that holds");
        graph
    }
}
