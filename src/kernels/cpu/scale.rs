//! `scale`: each number times a factor.

use super::parallel::long;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::scale::Scale;

impl Kernel for Scale {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], _: &Shapes, output: &mut [f32]) {
        let (x, factor) = (inputs[0].numbers(), self.factor as f32);
        long(output, |start, piece| piece.iter_mut().zip(&x[start..]).for_each(|(y, x)| *y = x * factor));
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let factor = self.factor as f32;
        if let Some(dx) = &mut gradients[0] {
            dx.set_by(call.cotangent, call.cotangent, |d, _| d * factor);
        }
    }
}
