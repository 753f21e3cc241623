//! `conv2d` and `conv_transpose2d`: filter banks, one the transpose of the other; formulas stand with the ops.

use super::bank::{Bank, bias_gradient, fill};
use super::unfold::Sliding;
use super::{Backward, Gradient, Input, Kernel, Shapes, depthwise};
use crate::ops::conv_transpose2d::ConvTranspose2d;
use crate::ops::conv2d::Conv2d;
use crate::ops::window::Window;

/// The last two sizes of a shape.
fn size(shape: &[usize]) -> [usize; 2] {
    [shape[2], shape[3]]
}

/// The filters read the input.
fn of_conv(op: &Conv2d, shapes: &Shapes) -> Bank {
    let (x, w) = (&shapes.inputs[0], &shapes.inputs[1]);
    let window = Window { kernel: size(w), stride: op.stride, padding: op.padding, dilation: op.dilation };
    let sliding = Sliding::new(window, size(x));
    Bank { batch: x[0], groups: op.groups, rows: w[0] / op.groups, channels: w[1], sliding }
}

/// The filters would read the output; the input is at their positions.
fn of_transpose(op: &ConvTranspose2d, shapes: &Shapes) -> Bank {
    let (x, w) = (&shapes.inputs[0], &shapes.inputs[1]);
    let [vertical, horizontal] = op.padding;
    let padding = [vertical, vertical, horizontal, horizontal];
    let window = Window { kernel: size(w), stride: op.stride, padding, dilation: op.dilation };
    let sliding = Sliding { window, image: size(&shapes.output), positions: size(x) };
    Bank { batch: x[0], groups: op.groups, rows: w[0] / op.groups, channels: w[1], sliding }
}

impl Kernel for Conv2d {
    fn reads(&self, i: usize) -> bool {
        i < 2
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (bank, x, w) = (of_conv(self, shapes), inputs[0].numbers(), inputs[1].numbers());
        if self.bias {
            fill(inputs[2].numbers(), bank.sliding.places(), output);
        }
        if depthwise::fits(&bank) {
            depthwise::filter(&bank, w, x, output, self.bias);
        } else {
            bank.filter(w, x, output, self.bias);
        }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (bank, dy) = (of_conv(self, call.shapes), call.cotangent);
        let by_channel = depthwise::fits(&bank);
        if let Some(dx) = &mut gradients[0] {
            let stamp = if by_channel { depthwise::stamp } else { Bank::stamp };
            stamp(&bank, call.inputs[1].numbers(), dy, dx.data, dx.add);
        }
        if let Some(dw) = &mut gradients[1] {
            let gradient = if by_channel { depthwise::gradient } else { Bank::gradient };
            gradient(&bank, dy, call.inputs[0].numbers(), dw.data, dw.add);
        }
        if let Some(db) = gradients.get_mut(2).and_then(Option::as_mut) {
            bias_gradient(dy, bank.sliding.places(), db.data, db.add);
        }
    }
}

impl Kernel for ConvTranspose2d {
    fn reads(&self, i: usize) -> bool {
        i < 2
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let bank = of_transpose(self, shapes);
        if self.bias {
            fill(inputs[2].numbers(), bank.sliding.pixels(), output);
        }
        bank.stamp(inputs[1].numbers(), inputs[0].numbers(), output, self.bias);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (bank, dy) = (of_transpose(self, call.shapes), call.cotangent);
        if let Some(dx) = &mut gradients[0] {
            bank.filter(call.inputs[1].numbers(), dy, dx.data, dx.add);
        }
        if let Some(dw) = &mut gradients[1] {
            bank.gradient(call.inputs[0].numbers(), dy, dw.data, dw.add);
        }
        if let Some(db) = gradients.get_mut(2).and_then(Option::as_mut) {
            bias_gradient(dy, bank.sliding.pixels(), db.data, db.add);
        }
    }
}
