//! `scale_filters` and `fold_bias`: a norm folded into parameters. They are small and run once for weights that do not move,
//! so they are plain loops.

use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::fold_bias::FoldBias;
use crate::ops::scale_filters::ScaleFilters;

/// `1 / √(v + ε)`, and its slope in `v`.
fn deviation(var: f32, epsilon: f64) -> (f32, f32) {
    let inverse = 1.0 / (var + epsilon as f32).sqrt();
    (inverse, -0.5 * inverse * inverse * inverse)
}

impl Kernel for ScaleFilters {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let [w, gamma, var] = [0, 1, 2].map(|i| inputs[i].numbers());
        let channel = self.channel(shapes);
        for (i, (y, w)) in output.iter_mut().zip(w).enumerate() {
            let c = channel(i);
            *y = w * (gamma[c] * deviation(var[c], self.epsilon).0);
        }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let [w, gamma, var] = [0, 1, 2].map(|i| call.inputs[i].numbers());
        let channel = self.channel(call.shapes);
        // The gradient of a channel's scale.
        let of_scale = |c: usize| -> f32 {
            let of_channel = w.iter().zip(call.cotangent).enumerate().filter(|(i, _)| channel(*i) == c);
            of_channel.map(|(_, (w, d))| f64::from(w * d)).sum::<f64>() as f32
        };
        if let Some(dw) = &mut gradients[0] {
            dw.set(|i| {
                let c = channel(i);
                call.cotangent[i] * gamma[c] * deviation(var[c], self.epsilon).0
            });
        }
        if let Some(dgamma) = &mut gradients[1] {
            dgamma.set(|c| of_scale(c) * deviation(var[c], self.epsilon).0);
        }
        if let Some(dvar) = &mut gradients[2] {
            dvar.set(|c| of_scale(c) * gamma[c] * deviation(var[c], self.epsilon).1);
        }
    }
}

impl ScaleFilters {
    /// The channel that number `i` of the weight belongs to.
    fn channel(&self, shapes: &Shapes) -> impl Fn(usize) -> usize + use<> {
        let dims = &shapes.output;
        let (channels, behind) = (dims[self.axis], dims[self.axis + 1..].iter().product::<usize>());
        move |i| i / behind % channels
    }
}

impl Kernel for FoldBias {
    fn reads(&self, i: usize) -> bool {
        i != 3
    }

    fn forward(&self, inputs: &[Input], _shapes: &Shapes, output: &mut [f32]) {
        let [mean, var, gamma, beta] = [0, 1, 2, 3].map(|i| inputs[i].numbers());
        let bias = inputs.get(4).map(|b| b.numbers());
        for (c, y) in output.iter_mut().enumerate() {
            let centred = bias.map_or(0.0, |b| b[c]) - mean[c];
            *y = centred * (gamma[c] * deviation(var[c], self.epsilon).0) + beta[c];
        }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let [mean, var, gamma] = [0, 1, 2].map(|i| call.inputs[i].numbers());
        let bias = call.inputs.get(4).map(|b| b.numbers());
        let deviation = |c: usize| deviation(var[c], self.epsilon);
        let centred = |c: usize| bias.map_or(0.0, |b| b[c]) - mean[c];
        let d = call.cotangent;
        for (i, gradient) in gradients.iter_mut().enumerate() {
            let Some(gradient) = gradient else { continue };
            match i {
                0 => gradient.set(|c| -d[c] * gamma[c] * deviation(c).0),
                1 => gradient.set(|c| d[c] * centred(c) * gamma[c] * deviation(c).1),
                2 => gradient.set(|c| d[c] * centred(c) * deviation(c).0),
                3 => gradient.set(|c| d[c]),
                _ => gradient.set(|c| d[c] * gamma[c] * deviation(c).0),
            }
        }
    }
}
