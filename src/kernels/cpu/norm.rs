//! Batch norm: moments of channels, and the norm over given moments. Formulas stand with the ops.

use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::batch_norm::BatchNorm;
use crate::ops::channel_mean::ChannelMean;
use crate::ops::channel_var::ChannelVar;

/// Examples, channels and positions of `[batch, channels, …]`.
fn sizes(shape: &[usize]) -> (usize, usize, usize) {
    (shape[0], shape[1], shape[2..].iter().product())
}

/// The rows of a channel: one for each example.
fn rows(shape: &[usize], channel: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let (batch, channels, positions) = sizes(shape);
    (0..batch).map(move |b| {
        let start = (b * channels + channel) * positions;
        start..start + positions
    })
}

impl Kernel for ChannelMean {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, shape) = (inputs[0].numbers(), &shapes.inputs[0]);
        let (batch, _, positions) = sizes(shape);
        for (c, mean) in output.iter_mut().enumerate() {
            let sum: f64 = rows(shape, c).map(|r| f64::from(x[r].iter().sum::<f32>())).sum();
            *mean = (sum / (batch * positions) as f64) as f32;
        }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let (batch, channels, positions) = sizes(&call.shapes.inputs[0]);
        let n = (batch * positions) as f32;
        dx.set(|i| call.cotangent[i / positions % channels] / n);
    }
}

impl Kernel for ChannelVar {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, mean, shape) = (inputs[0].numbers(), inputs[1].numbers(), &shapes.inputs[0]);
        let (batch, _, positions) = sizes(shape);
        for (c, var) in output.iter_mut().enumerate() {
            let square = |x: &f32| (x - mean[c]) * (x - mean[c]);
            let sum: f64 = rows(shape, c).map(|r| f64::from(x[r].iter().map(square).sum::<f32>())).sum();
            *var = (sum / (batch * positions) as f64) as f32;
        }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (x, mean, shape) = (call.inputs[0].numbers(), call.inputs[1].numbers(), &call.shapes.inputs[0]);
        let (batch, channels, positions) = sizes(shape);
        let n = (batch * positions) as f32;
        if let Some(dx) = &mut gradients[0] {
            dx.set(|i| {
                let c = i / positions % channels;
                call.cotangent[c] * 2.0 * (x[i] - mean[c]) / n
            });
        }
        if let Some(dm) = &mut gradients[1] {
            dm.set(|c| {
                let sum: f32 = rows(shape, c).map(|r| x[r].iter().map(|x| x - mean[c]).sum::<f32>()).sum();
                call.cotangent[c] * -2.0 * sum / n
            });
        }
    }
}

/// Inputs: x, mean, variance, gamma, beta.
impl Kernel for BatchNorm {
    fn reads(&self, i: usize) -> bool {
        i < 4
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let [x, mean, var, gamma, beta] = [0, 1, 2, 3, 4].map(|i| inputs[i].numbers());
        let shape = &shapes.inputs[0];
        for c in 0..sizes(shape).1 {
            let scale = gamma[c] / (var[c] + self.epsilon as f32).sqrt();
            for r in rows(shape, c) {
                output[r.clone()].iter_mut().zip(&x[r]).for_each(|(y, x)| *y = (x - mean[c]) * scale + beta[c]);
            }
        }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let [x, mean, var, gamma] = [0, 1, 2, 3].map(|i| call.inputs[i].numbers());
        let (shape, dy) = (&call.shapes.inputs[0], call.cotangent);
        let (_, channels, positions) = sizes(shape);
        let inverse: Vec<f32> = var.iter().map(|v| 1.0 / (v + self.epsilon as f32).sqrt()).collect();
        // Σ dy, and Σ dy · (x − mean), by channel.
        let sums: Vec<(f32, f32)> = (0..channels)
            .map(|c| {
                rows(shape, c).fold((0.0, 0.0), |(a, b), r| {
                    let centred = |(d, x): (&f32, &f32)| d * (x - mean[c]);
                    (
                        a + dy[r.clone()].iter().sum::<f32>(),
                        b + dy[r.clone()].iter().zip(&x[r]).map(centred).sum::<f32>(),
                    )
                })
            })
            .collect();
        if let Some(dx) = &mut gradients[0] {
            dx.set(|i| {
                let c = i / positions % channels;
                dy[i] * gamma[c] * inverse[c]
            });
        }
        if let Some(dm) = &mut gradients[1] {
            dm.set(|c| -gamma[c] * inverse[c] * sums[c].0);
        }
        if let Some(dv) = &mut gradients[2] {
            dv.set(|c| -0.5 * gamma[c] * inverse[c].powi(3) * sums[c].1);
        }
        if let Some(dg) = &mut gradients[3] {
            dg.set(|c| inverse[c] * sums[c].1);
        }
        if let Some(db) = &mut gradients[4] {
            db.set(|c| sums[c].0);
        }
    }
}
