//! `conv2d` and `conv_transpose2d`: filter banks, one the transpose of the other; formulas stand with the ops. Maps have their
//! channels last; weights are as the ops say.

mod axis;
mod correlation;
mod frame;
mod gradient;
mod slopes;

use super::bank::Bank;
use super::low_precision::Layer;
use super::parallel::scratch;
use super::tile::Finish;
use super::unfold::Sliding;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::conv_transpose2d::ConvTranspose2d;
use crate::ops::conv2d::Conv2d;
use crate::ops::epilogue::Activation;
use crate::ops::window::Window;
use correlation::Correlation;

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

/// Runs a correlation by weights in either form.
fn correlate(correlation: &Correlation, w: Input, x: &[f32], y: &mut [f32], finish: &Finish) {
    match w {
        Input::Prepared(packed) => correlation.run(packed, x, y, finish),
        w => correlation.with_packed(w.numbers(), |packed| correlation.run(packed, x, y, finish)),
    }
}

/// A gradient goes through the weights as they are: what is prepared is for the forward pass.
fn plain(w: Input) -> Input {
    Input::Numbers(w.numbers())
}

fn prepare(correlation: &Correlation, w: &[f32]) -> Vec<f32> {
    let mut packed = vec![0.0; correlation.packed_len()];
    correlation.pack(w, &mut packed);
    packed
}

impl Conv2d {
    fn finish<'a>(&self, inputs: &[Input<'a>], activation: Option<Activation>) -> Finish<'a> {
        let residual = self.epilogue.residual.then(|| inputs[inputs.len() - 1].numbers());
        Finish { bias: self.bias.then(|| inputs[2].numbers()), residual, activation, add: false }
    }

    /// Leaves all gradients but that of the residual, from the gradient of the sum before the activation.
    fn pull(&self, call: &Backward, dz: &[f32], gradients: &mut [Option<Gradient>]) {
        let bank = of_conv(self, call.shapes);
        if let Some(dx) = &mut gradients[0] {
            let finish = Finish { add: dx.add, ..Finish::default() };
            correlate(&Correlation::stamp(&bank), plain(call.inputs[1]), dz, dx.data, &finish);
        }
        if let Some(dw) = &mut gradients[1] {
            gradient::gradient(&bank, dz, call.inputs[0].numbers(), dw);
        }
        if let Some(db) = gradients.get_mut(2).and_then(Option::as_mut).filter(|_| self.bias) {
            slopes::bias(dz, db);
        }
    }
}

impl Kernel for Conv2d {
    fn reads(&self, i: usize) -> bool {
        i < 2 || self.epilogue.activation.is_some_and(|f| !f.slope_from_result())
    }

    fn reads_output(&self) -> bool {
        self.epilogue.activation.is_some_and(Activation::slope_from_result)
    }

    fn prepare(&self, i: usize, numbers: &[f32], shapes: &Shapes) -> Option<Vec<f32>> {
        if !self.precision.is_f32() {
            return (i == 1).then(|| Layer::new(self.precision, of_conv(self, shapes)).prepare(numbers));
        }
        (i == 1).then(|| prepare(&Correlation::filter(&of_conv(self, shapes)), numbers))
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let finish = self.finish(inputs, self.epilogue.activation);
        if !self.precision.is_f32() {
            let layer = Layer::new(self.precision, of_conv(self, shapes));
            return layer.forward(inputs[1], inputs[0].numbers(), output, &finish);
        }
        let filter = Correlation::filter(&of_conv(self, shapes));
        correlate(&filter, inputs[1], inputs[0].numbers(), output, &finish);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let residual = if self.epilogue.residual { gradients.len() - 1 } else { gradients.len() };
        let (gradients, residual) = gradients.split_at_mut(residual);
        let mut residual = residual.first_mut().and_then(Option::as_mut);
        let Some(activation) = self.epilogue.activation else {
            if let Some(dr) = &mut residual {
                dr.set_by(call.cotangent, call.cotangent, |dz, _| dz);
            }
            return self.pull(call, call.cotangent, gradients);
        };
        scratch(call.cotangent.len(), |dz| {
            if activation.slope_from_result() {
                slopes::through(activation, call.output, call.cotangent, dz);
            } else {
                scratch(dz.len(), |z| {
                    let filter = Correlation::filter(&of_conv(self, call.shapes));
                    let finish = self.finish(call.inputs, None);
                    correlate(&filter, call.inputs[1], call.inputs[0].numbers(), z, &finish);
                    slopes::through(activation, z, call.cotangent, dz);
                });
            }
            if let Some(dr) = &mut residual {
                dr.set_by(dz, dz, |dz, _| dz);
            }
            self.pull(call, dz, gradients);
        });
    }
}

impl Kernel for ConvTranspose2d {
    fn reads(&self, i: usize) -> bool {
        i < 2
    }

    fn prepare(&self, i: usize, numbers: &[f32], shapes: &Shapes) -> Option<Vec<f32>> {
        (i == 1).then(|| prepare(&Correlation::stamp(&of_transpose(self, shapes)), numbers))
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let stamp = Correlation::stamp(&of_transpose(self, shapes));
        let finish = Finish { bias: self.bias.then(|| inputs[2].numbers()), ..Finish::default() };
        correlate(&stamp, inputs[1], inputs[0].numbers(), output, &finish);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (bank, dy) = (of_transpose(self, call.shapes), call.cotangent);
        if let Some(dx) = &mut gradients[0] {
            let finish = Finish { add: dx.add, ..Finish::default() };
            correlate(&Correlation::filter(&bank), plain(call.inputs[1]), dy, dx.data, &finish);
        }
        if let Some(dw) = &mut gradients[1] {
            gradient::gradient(&bank, call.inputs[0].numbers(), dy, dw);
        }
        if let Some(db) = gradients.get_mut(2).and_then(Option::as_mut) {
            slopes::bias(dy, db);
        }
    }
}
