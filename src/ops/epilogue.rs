//! What an op may do to its result before it leaves: add another value, and apply an activation.
//!
//! `y = f(z + r)`: `z` is what the op computes, `r` the residual, the op's last input, of the type of the result, and `f` the
//! activation. The passes fold an `add` and an activation behind an op into it, so that a kernel writes its result once.

use super::operation::{Mismatch, Operation, same};
use super::value::{Tape, Value};
use super::{Op, add, gelu, hardsigmoid, hardswish, leaky_relu, relu, relu6, sigmoid, silu, tanh};
use crate::base::Type;
use serde::{Deserialize, Serialize};

/// A function of each element, that an op can apply to its result.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    Relu,
    Relu6,
    LeakyRelu(f64),
    Hardsigmoid,
    Hardswish,
    Silu,
    /// By the error function.
    Gelu,
    Sigmoid,
    Tanh,
}

impl Activation {
    /// The activation that an op is, if it is one.
    pub fn of(op: &Op) -> Option<Activation> {
        Some(match op {
            Op::Relu(_) => Activation::Relu,
            Op::Relu6(_) => Activation::Relu6,
            Op::LeakyRelu(op) => Activation::LeakyRelu(op.slope),
            Op::Hardsigmoid(_) => Activation::Hardsigmoid,
            Op::Hardswish(_) => Activation::Hardswish,
            Op::Silu(_) => Activation::Silu,
            Op::Gelu(op) if !op.approximate => Activation::Gelu,
            Op::Sigmoid(_) => Activation::Sigmoid,
            Op::Tanh(_) => Activation::Tanh,
            _ => return None,
        })
    }

    /// Whether its slope follows from its result alone, so that a gradient needs nothing else.
    pub fn slope_from_result(self) -> bool {
        match self {
            Activation::Relu | Activation::Relu6 | Activation::Hardsigmoid | Activation::Sigmoid | Activation::Tanh => {
                true
            }
            Activation::LeakyRelu(slope) => slope > 0.0,
            Activation::Hardswish | Activation::Silu | Activation::Gelu => false,
        }
    }

    /// The op that computes it alone.
    fn op(self) -> Op {
        match self {
            Activation::Relu => relu::Relu {}.into(),
            Activation::Relu6 => relu6::Relu6 {}.into(),
            Activation::LeakyRelu(slope) => leaky_relu::LeakyRelu { slope }.into(),
            Activation::Hardsigmoid => hardsigmoid::Hardsigmoid {}.into(),
            Activation::Hardswish => hardswish::Hardswish {}.into(),
            Activation::Silu => silu::Silu {}.into(),
            Activation::Gelu => gelu::Gelu { approximate: false }.into(),
            Activation::Sigmoid => sigmoid::Sigmoid {}.into(),
            Activation::Tanh => tanh::Tanh {}.into(),
        }
    }

    fn define<T: Tape>(self, x: Value<T>) -> Value<T> {
        let x = vec![x];
        match self {
            Activation::Relu => relu::Relu {}.define(x),
            Activation::Relu6 => relu6::Relu6 {}.define(x),
            Activation::LeakyRelu(slope) => leaky_relu::LeakyRelu { slope }.define(x),
            Activation::Hardsigmoid => hardsigmoid::Hardsigmoid {}.define(x),
            Activation::Hardswish => hardswish::Hardswish {}.define(x),
            Activation::Silu => silu::Silu {}.define(x),
            Activation::Gelu => gelu::Gelu { approximate: false }.define(x),
            Activation::Sigmoid => sigmoid::Sigmoid {}.define(x),
            Activation::Tanh => tanh::Tanh {}.define(x),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epilogue {
    /// Whether the op's last input is added to the result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub residual: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
}

impl Op {
    /// The epilogue of an op that may have one.
    pub fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        match self {
            Op::Linear(op) => Some(&mut op.epilogue),
            Op::Conv2d(op) => Some(&mut op.epilogue),
            Op::BatchNorm(op) => Some(&mut op.epilogue),
            _ => None,
        }
    }

    pub fn epilogue(&self) -> Epilogue {
        match self {
            Op::Linear(op) => op.epilogue,
            Op::Conv2d(op) => op.epilogue,
            Op::BatchNorm(op) => op.epilogue,
            _ => Epilogue::default(),
        }
    }
}

impl Epilogue {
    /// Floating-point operations for a batch of one.
    pub fn flops(self, output: &Type) -> u64 {
        let activation = self.activation.map_or(0, |f| f.op().flops(std::slice::from_ref(output), output));
        activation + if self.residual { output.elements(1) as u64 } else { 0 }
    }

    pub fn is_empty(&self) -> bool {
        *self == Epilogue::default()
    }

    /// Whether the gradient of input `i`, the residual, is that of the result.
    pub fn passes(&self, i: usize, inputs: &[Type]) -> bool {
        self.residual && self.activation.is_none() && i + 1 == inputs.len()
    }

    /// Checks the residual, if there is one, and gives the inputs before it.
    pub fn signature<'t>(
        &self,
        name: &str,
        inputs: &'t [Type],
        result: impl FnOnce(&'t [Type]) -> Result<Type, Mismatch>,
    ) -> Result<Type, Mismatch> {
        match inputs.split_last() {
            Some((residual, own)) if self.residual => {
                let output = result(own)?;
                same(name, "residual", residual, &output)?;
                Ok(output)
            }
            _ => result(inputs),
        }
    }

    /// Computes an op by `own` from the inputs that are its own, and finishes the result.
    pub fn define<T: Tape>(&self, mut inputs: Vec<Value<T>>, own: impl FnOnce(Vec<Value<T>>) -> Value<T>) -> Value<T> {
        let residual = self.residual.then(|| inputs.pop()).flatten();
        let z = own(inputs);
        let z = match residual {
            Some(residual) => add::Add {}.define(vec![z, residual]),
            None => z,
        };
        match self.activation {
            Some(f) => f.define(z),
            None => z,
        }
    }
}
