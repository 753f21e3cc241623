//! `conv2d` and `conv_transpose2d`: filter banks, one the transpose of the other; formulas stand with the ops. Maps have their
//! channels last; weights are as the ops say.

mod axis;
mod bias;
mod correlation;
mod frame;
mod gradient;
mod transforms;
mod winograd;
mod winograd_gradient;

use super::bank::Bank;
use super::function::through;
use super::low_precision::Layer;
use super::parallel::scratch;
use super::tile::Finish;
use super::unfold::Sliding;
use super::{Backward, Gradient, Input, Kernel, Shapes, depthwise};
use crate::ops::conv_transpose2d::ConvTranspose2d;
use crate::ops::conv2d::Conv2d;
use crate::ops::epilogue::Activation;
use crate::ops::window::Window;
use correlation::Correlation;
use winograd::Winograd;

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

/// The sizes of a bank with a window for each channel, which has kernels of its own.
fn by_channel(bank: &Bank) -> Option<depthwise::Geometry> {
    let &Bank { batch, groups: channels, sliding, .. } = bank;
    let Sliding { window, image, positions } = sliding;
    depthwise::fits(bank).then_some(depthwise::Geometry { batch, channels, image, positions, window })
}

/// Windows of channels as their kernels take them.
fn with_windows<R>(g: &depthwise::Geometry, w: Input, f: impl FnOnce(&[f32]) -> R) -> R {
    match w {
        Input::Prepared(packed) => f(packed),
        w => scratch(g.taps() * g.channels, |packed| {
            depthwise::pack(w.numbers(), g.channels, packed);
            f(packed)
        }),
    }
}

/// The way a bank is computed, when it is not the direct one.
fn way(bank: &Bank, shapes: &Shapes) -> Option<Winograd> {
    Winograd::filter(bank)?.best(shapes.winograd, shapes.trains)
}

/// `y = f(w ⋆ x + …)`. Prepared weights say by their length what they are prepared for.
fn filter(bank: &Bank, shapes: &Shapes, w: Input, x: &[f32], y: &mut [f32], finish: &Finish) {
    if let Some(g) = by_channel(bank) {
        let (bias, residual) = (finish.bias.unwrap_or_default(), finish.residual.unwrap_or_default());
        return with_windows(&g, w, |packed| {
            depthwise::forward(&g, packed, x, bias, residual, finish.activation, y);
        });
    }
    let way = match w {
        Input::Prepared(packed) => Winograd::filter(bank).and_then(|way| way.prepared(packed.len())),
        _ => way(bank, shapes),
    };
    match (way, w) {
        (Some(way), Input::Prepared(packed)) => way.run(packed, x, y, finish),
        (Some(way), w) => way.with_packed(w.numbers(), |packed| way.run(packed, x, y, finish)),
        (None, w) => correlate(&Correlation::filter(bank), w, x, y, finish),
    }
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

impl Conv2d {
    fn finish<'a>(&self, inputs: &[Input<'a>], activation: Option<Activation>) -> Finish<'a> {
        let residual = self.epilogue.residual.then(|| inputs[inputs.len() - 1].numbers());
        Finish { bias: self.bias.then(|| inputs[2].numbers()), residual, activation, add: false }
    }

    /// Leaves all gradients but that of the residual, from the gradient of the sum before the activation.
    fn pull(&self, call: &Backward, dz: &[f32], gradients: &mut [Option<Gradient>]) {
        let bank = of_conv(self, call.shapes);
        if let Some(db) = gradients.get_mut(2).and_then(Option::as_mut).filter(|_| self.bias) {
            bias::gradient(dz, db);
        }
        if let Some(g) = by_channel(&bank) {
            if let Some(dx) = &mut gradients[0] {
                let w = plain(call.inputs[1]);
                with_windows(&g, w, |packed| depthwise::data_gradient(&g, packed, dz, dx.data, dx.add));
            }
            if let Some(dw) = &mut gradients[1] {
                depthwise::weight_gradient(&g, dz, call.inputs[0].numbers(), dw.data, dw.add);
            }
            return;
        }
        if let Some(dx) = &mut gradients[0] {
            let finish = Finish { add: dx.add, ..Finish::default() };
            let way = Winograd::stamp(&bank).and_then(|way| way.best(call.shapes.winograd, true));
            let w = plain(call.inputs[1]);
            match way {
                Some(way) => way.with_packed(w.numbers(), |packed| way.run(packed, dz, dx.data, &finish)),
                None => correlate(&Correlation::stamp(&bank), w, dz, dx.data, &finish),
            }
        }
        if let Some(dw) = &mut gradients[1] {
            let x = call.inputs[0].numbers();
            match winograd_gradient::choose(&bank, call.shapes.winograd) {
                Some(way) => winograd_gradient::gradient(&way, dz, x, dw),
                None => gradient::gradient(&bank, dz, x, dw),
            }
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

    fn prepared_len(&self, i: usize, shapes: &Shapes) -> Option<usize> {
        let bank = of_conv(self, shapes);
        let len = || match (by_channel(&bank), way(&bank, shapes)) {
            _ if !self.precision.is_f32() => Layer::new(self.precision, bank).packed_len(),
            (Some(g), _) => g.taps() * g.channels,
            (None, Some(way)) => way.packed_len(),
            (None, None) => Correlation::filter(&bank).packed_len(),
        };
        (i == 1).then(len)
    }

    fn prepare(&self, _: usize, numbers: &[f32], shapes: &Shapes, into: &mut [f32]) {
        let bank = of_conv(self, shapes);
        match (by_channel(&bank), way(&bank, shapes)) {
            _ if !self.precision.is_f32() => Layer::new(self.precision, bank).pack(numbers, into),
            (Some(g), _) => depthwise::pack(numbers, g.channels, into),
            (None, Some(way)) => way.pack(numbers, into),
            (None, None) => Correlation::filter(&bank).pack(numbers, into),
        }
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let finish = self.finish(inputs, self.epilogue.activation);
        if !self.precision.is_f32() {
            let layer = Layer::new(self.precision, of_conv(self, shapes));
            return layer.forward(inputs[1], inputs[0].numbers(), output, &finish);
        }
        filter(&of_conv(self, shapes), shapes, inputs[1], inputs[0].numbers(), output, &finish);
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
            let by = activation.slope_from_result().then_some(call.output);
            if by.is_none() {
                let (bank, finish) = (of_conv(self, call.shapes), self.finish(call.inputs, None));
                filter(&bank, call.shapes, call.inputs[1], call.inputs[0].numbers(), dz, &finish);
            }
            through(activation, by, call.cotangent, &mut Gradient { data: dz, add: false });
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

    fn prepared_len(&self, i: usize, shapes: &Shapes) -> Option<usize> {
        (i == 1).then(|| Correlation::stamp(&of_transpose(self, shapes)).packed_len())
    }

    fn prepare(&self, _: usize, numbers: &[f32], shapes: &Shapes, into: &mut [f32]) {
        Correlation::stamp(&of_transpose(self, shapes)).pack(numbers, into);
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
            bias::gradient(dy, db);
        }
    }
}
