//! Activations: functions of each element, without parameters. `softmax` runs over the classes of a position.

use super::Layer;
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::graph::ValueId;
use crate::ops::{self, Op};
use crate::parts::cell::{Cell, Fault};

pub struct Activation {
    signature: &'static Signature,
    /// The op for an input of that rank.
    op: fn(&Args, usize) -> Op,
}

impl Layer for Activation {
    fn signature(&self) -> &'static Signature {
        self.signature
    }

    fn kind(&self) -> &'static str {
        "activation"
    }

    fn build(&self, cell: &mut Cell<'_>, x: ValueId) -> Result<ValueId, Fault> {
        let op = (self.op)(cell.args, cell.ty(x).rank());
        cell.op(op, &[x])
    }
}

const fn signature(name: &'static str, summary: &'static str, params: &'static [Param]) -> Signature {
    Signature { name, kind: PartKind::Layer, summary, params }
}

pub static RELU: Activation =
    Activation { signature: &signature("relu", "max(x, 0)", &[]), op: |_, _| ops::relu::Relu {}.into() };
pub static RELU6: Activation =
    Activation { signature: &signature("relu6", "min(max(x, 0), 6)", &[]), op: |_, _| ops::relu6::Relu6 {}.into() };
pub static LEAKY_RELU: Activation = Activation {
    signature: &signature(
        "leaky_relu",
        "x where positive, slope · x elsewhere",
        &[Param::with("slope", Kind::NonNegative, "0.01", "factor of negative inputs")],
    ),
    op: |args, _| ops::leaky_relu::LeakyRelu { slope: args.float("slope") }.into(),
};
pub static GELU: Activation = Activation {
    signature: &signature(
        "gelu",
        "x · Φ(x), Φ the normal distribution function",
        &[Param::with("approximate", Kind::Flag, "false", "use the tanh form")],
    ),
    op: |args, _| ops::gelu::Gelu { approximate: args.flag("approximate") }.into(),
};
pub static SILU: Activation =
    Activation { signature: &signature("silu", "x · sigmoid(x)", &[]), op: |_, _| ops::silu::Silu {}.into() };
pub static HARDSWISH: Activation = Activation {
    signature: &signature("hardswish", "x · relu6(x + 3) / 6", &[]),
    op: |_, _| ops::hardswish::Hardswish {}.into(),
};
pub static HARDSIGMOID: Activation = Activation {
    signature: &signature("hardsigmoid", "relu6(x + 3) / 6", &[]),
    op: |_, _| ops::hardsigmoid::Hardsigmoid {}.into(),
};
pub static SIGMOID: Activation = Activation {
    signature: &signature("sigmoid", "1 / (1 + e^−x)", &[]),
    op: |_, _| ops::sigmoid::Sigmoid {}.into(),
};
pub static TANH: Activation =
    Activation { signature: &signature("tanh", "hyperbolic tangent", &[]), op: |_, _| ops::tanh::Tanh {}.into() };
pub static SOFTMAX: Activation = Activation {
    signature: &signature(
        "softmax",
        "e^x over its sum: along the last axis, or along the channels of a feature map",
        &[],
    ),
    op: |_, rank| ops::softmax::Softmax { axis: if rank == 4 { 1 } else { rank.saturating_sub(1) } }.into(),
};
