//! Activations: one function of each element, and its slope. Formulas stand with the ops.

use super::math::{sigmoid, tanh, vectorised};
use super::parallel::long;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::hardsigmoid::Hardsigmoid;
use crate::ops::hardswish::Hardswish;
use crate::ops::leaky_relu::LeakyRelu;
use crate::ops::relu::Relu;
use crate::ops::relu6::Relu6;
use crate::ops::sigmoid::Sigmoid;
use crate::ops::silu::Silu;
use crate::ops::tanh::Tanh;

/// A function of each element. A macro, because a closure may end up in a function of its own, for lesser vectors.
macro_rules! each {
    ($inputs:ident, $output:ident, |$x:ident| $value:expr) => {{
        let x = $inputs[0].numbers();
        long($output, |start, piece| {
            vectorised(
                #[inline(always)]
                || {
                    for (y, &$x) in piece.iter_mut().zip(&x[start..]) {
                        *y = $value;
                    }
                },
            );
        });
    }};
}

/// Kernels whose slope follows from the result, so that the input need not be kept.
macro_rules! by_result {
    ($op:ident, |$x:ident| $value:expr, $slope:expr) => {
        impl Kernel for $op {
            fn reads(&self, _: usize) -> bool {
                false
            }

            fn reads_output(&self) -> bool {
                true
            }

            fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
                each!(inputs, output, |$x| $value);
            }

            fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
                let Some(dx) = &mut gradients[0] else { return };
                dx.set_by(call.cotangent, call.output, |d, y| {
                    let slope = $slope;
                    d * slope(y)
                });
            }
        }
    };
}

// The comparison is false for NaN, which therefore stays.
by_result!(Relu, |x| if x <= 0.0 { 0.0 } else { x }, |y: f32| if y <= 0.0 { 0.0 } else { 1.0 });
by_result!(Relu6, |x| x.clamp(0.0, 6.0), |y: f32| if y <= 0.0 || y >= 6.0 { 0.0 } else { 1.0 });
by_result!(Hardsigmoid, |x| (x + 3.0).clamp(0.0, 6.0) / 6.0, |y: f32| if y <= 0.0 || y >= 1.0 {
    0.0
} else {
    1.0 / 6.0
});
by_result!(Tanh, |x| tanh(x), |y: f32| 1.0 - y * y);
by_result!(Sigmoid, |x| sigmoid(x), |y: f32| y * (1.0 - y));

impl Kernel for Silu {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        each!(inputs, output, |x| x * sigmoid(x));
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (x, Some(dx)) = (call.inputs[0].numbers(), &mut gradients[0]) else { return };
        dx.set_by(call.cotangent, x, |d, x| {
            let s = sigmoid(x);
            d * s * (1.0 + x * (1.0 - s))
        });
    }
}

impl Kernel for LeakyRelu {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let slope = self.slope as f32;
        each!(inputs, output, |x| if x > 0.0 { x } else { slope * x });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (x, Some(dx), slope) = (call.inputs[0].numbers(), &mut gradients[0], self.slope as f32) else { return };
        dx.set_by(call.cotangent, x, |d, x| if x > 0.0 { d } else { slope * d });
    }
}

impl Kernel for Hardswish {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        each!(inputs, output, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (x, Some(dx)) = (call.inputs[0].numbers(), &mut gradients[0]) else { return };
        dx.set_by(call.cotangent, x, |d, x| {
            let inside = d * (x / 3.0 + 0.5);
            if x <= -3.0 {
                0.0
            } else if x >= 3.0 {
                d
            } else {
                inside
            }
        });
    }
}
