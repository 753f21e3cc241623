//! `add`, `mul`, `blend` and `dropout`: two values, element by element. The second may be a parameter that every example shares.

use super::parallel::{long, pieces};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::add::Add;
use crate::ops::blend::Blend;
use crate::ops::dropout::Dropout;
use crate::ops::mul::Mul;

/// Adds or writes a gradient that every example of a batch contributes to.
fn over_examples(gradient: &mut Gradient, n: usize, value: impl Fn(usize) -> f32 + Sync) {
    let width = gradient.data.len();
    if width == n {
        return gradient.set(value);
    }
    if !gradient.add {
        gradient.data.fill(0.0);
    }
    for start in (0..n).step_by(width.max(1)) {
        gradient.data.iter_mut().enumerate().for_each(|(i, g)| *g += value(start + i));
    }
}

impl Kernel for Add {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let (a, b) = (inputs[0].numbers(), inputs[1].numbers());
        combine(a, b, output, |a, b| a + b);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let n = call.cotangent.len();
        for gradient in gradients.iter_mut().flatten() {
            if gradient.data.len() == n {
                gradient.set_by(call.cotangent, call.cotangent, |d, _| d);
            } else {
                over_examples(gradient, n, |i| call.cotangent[i]);
            }
        }
    }
}

impl Kernel for Mul {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        multiply(inputs, output);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (a, b) = (call.inputs[0].numbers(), call.inputs[1].numbers());
        let n = call.cotangent.len();
        if let Some(da) = &mut gradients[0] {
            if n == b.len() {
                da.set_by(call.cotangent, b, |d, b| d * b);
            } else {
                da.set(|i| call.cotangent[i] * b[i % b.len()]);
            }
        }
        if let Some(db) = &mut gradients[1] {
            over_examples(db, n, |i| call.cotangent[i] * a[i]);
        }
    }
}

impl Kernel for Blend {
    fn reads(&self, i: usize) -> bool {
        i == 2
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let share = inputs[2].numbers()[0];
        combine(inputs[0].numbers(), inputs[1].numbers(), output, |a, b| share * a + (1.0 - share) * b);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let share = call.inputs[2].numbers()[0];
        for (gradient, share) in gradients.iter_mut().zip([share, 1.0 - share]) {
            if let Some(gradient) = gradient {
                gradient.set_by(call.cotangent, call.cotangent, |d, _| share * d);
            }
        }
    }
}

impl Kernel for Dropout {
    fn reads(&self, i: usize) -> bool {
        i == 1
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        multiply(inputs, output);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let mask = call.inputs[1].numbers();
        if let Some(dx) = &mut gradients[0] {
            dx.set_by(call.cotangent, mask, |d, m| d * m);
        }
    }
}

fn multiply(inputs: &[Input], output: &mut [f32]) {
    combine(inputs[0].numbers(), inputs[1].numbers(), output, |a, b| a * b);
}

/// `y[i] = f(a[i], b[i])`, with `b` again for every example when it is shorter.
fn combine(a: &[f32], b: &[f32], output: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    if a.len() == b.len() {
        return long(output, |start, piece| {
            let each = piece.iter_mut().zip(a[start..].iter().zip(&b[start..]));
            each.for_each(|(y, (a, b))| *y = f(*a, *b));
        });
    }
    pieces(output, b.len(), b.len(), |i, y| {
        let each = y.iter_mut().zip(a[i * b.len()..].iter().zip(b));
        each.for_each(|(y, (a, b))| *y = f(*a, *b));
    });
}
