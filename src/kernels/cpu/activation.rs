//! Ops that are an activation and nothing else.

use super::function::{GeluByTanh, map, map_by, through, through_by};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::epilogue::Activation;
use crate::ops::gelu::Gelu;
use crate::ops::hardsigmoid::Hardsigmoid;
use crate::ops::hardswish::Hardswish;
use crate::ops::leaky_relu::LeakyRelu;
use crate::ops::relu::Relu;
use crate::ops::relu6::Relu6;
use crate::ops::sigmoid::Sigmoid;
use crate::ops::silu::Silu;
use crate::ops::tanh::Tanh;

/// Kernels of ops, and the activation that each is.
macro_rules! activations {
    ($($op:ident => |$self:ident| $activation:expr),* $(,)?) => {$(
        impl $op {
            fn activation(&self) -> Activation {
                let $self = self;
                $activation
            }
        }

        impl Kernel for $op {
            fn reads(&self, _: usize) -> bool {
                !self.activation().slope_from_result()
            }

            fn reads_output(&self) -> bool {
                self.activation().slope_from_result()
            }

            fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
                map(self.activation(), inputs[0].numbers(), output);
            }

            fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
                let Some(dx) = &mut gradients[0] else { return };
                let by = if self.reads_output() { call.output } else { call.inputs[0].numbers() };
                through(self.activation(), Some(by), call.cotangent, dx);
            }
        }
    )*};
}

activations! {
    Relu => |_op| Activation::Relu,
    Relu6 => |_op| Activation::Relu6,
    LeakyRelu => |op| Activation::LeakyRelu(op.slope),
    Hardsigmoid => |_op| Activation::Hardsigmoid,
    Hardswish => |_op| Activation::Hardswish,
    Silu => |_op| Activation::Silu,
    Sigmoid => |_op| Activation::Sigmoid,
    Tanh => |_op| Activation::Tanh,
}

impl Kernel for Gelu {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let x = inputs[0].numbers();
        if self.approximate { map_by(GeluByTanh, x, output) } else { map(Activation::Gelu, x, output) }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (x, Some(dx)) = (call.inputs[0].numbers(), &mut gradients[0]) else { return };
        if self.approximate {
            through_by(GeluByTanh, Some(x), call.cotangent, dx);
        } else {
            through(Activation::Gelu, Some(x), call.cotangent, dx);
        }
    }
}
