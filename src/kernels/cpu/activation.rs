//! Activations: one function of each element, and its slope. Formulas stand with the ops.

use super::math::{sigmoid, tanh};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::relu::Relu;
use crate::ops::sigmoid::Sigmoid;
use crate::ops::silu::Silu;
use crate::ops::tanh::Tanh;

fn each(x: &[f32], output: &mut [f32], f: impl Fn(f32) -> f32) {
    output.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x));
}

/// Kernels whose slope follows from the result, so that the input need not be kept.
macro_rules! by_result {
    ($op:ident, $value:expr, $slope:expr) => {
        impl Kernel for $op {
            fn reads(&self, _: usize) -> bool {
                false
            }

            fn reads_output(&self) -> bool {
                true
            }

            fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
                each(inputs[0].numbers(), output, $value);
            }

            fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
                let Some(dx) = &mut gradients[0] else { return };
                let slope: fn(f32) -> f32 = $slope;
                dx.set(|i| call.cotangent[i] * slope(call.output[i]));
            }
        }
    };
}

// The comparison is false for NaN, which therefore stays.
by_result!(Relu, |x| if x <= 0.0 { 0.0 } else { x }, |y| if y > 0.0 { 1.0 } else { 0.0 });
by_result!(Tanh, tanh, |y| 1.0 - y * y);
by_result!(Sigmoid, sigmoid, |y| y * (1.0 - y));

impl Kernel for Silu {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        each(inputs[0].numbers(), output, |x| x * sigmoid(x));
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (x, Some(dx)) = (call.inputs[0].numbers(), &mut gradients[0]) else { return };
        dx.set(|i| {
            let s = sigmoid(x[i]);
            call.cotangent[i] * s * (1.0 + x[i] * (1.0 - s))
        });
    }
}
