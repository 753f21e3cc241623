//! Batch norm: moments of channels, and the norm over given moments. Formulas stand with the ops.

use super::parallel::pieces;
use super::wide::{centred, dot_centred, squares, sum};
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

/// Adds or writes the gradient of an image, plane by plane: `f(channel, the plane's numbers, g)` for each.
fn each_plane(dx: &mut Gradient, shape: &[usize], f: impl Fn(usize, std::ops::Range<usize>, &mut [f32], bool) + Sync) {
    let (_, channels, positions) = sizes(shape);
    let add = dx.add;
    pieces(dx.data, positions, positions, |plane, dx| {
        f(plane % channels, plane * positions..(plane + 1) * positions, dx, add);
    });
}

impl Kernel for ChannelMean {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, shape) = (inputs[0].numbers(), &shapes.inputs[0]);
        let (batch, _, positions) = sizes(shape);
        pieces(output, 1, batch * positions, |c, mean| {
            let total: f64 = rows(shape, c).map(|r| f64::from(sum(&x[r]))).sum();
            mean[0] = (total / (batch * positions) as f64) as f32;
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let shape = &call.shapes.inputs[0];
        let (batch, _, positions) = sizes(shape);
        let n = (batch * positions) as f32;
        each_plane(dx, shape, |c, _, dx, add| {
            let d = call.cotangent[c] / n;
            dx.iter_mut().for_each(|g| *g = if add { *g + d } else { d });
        });
    }
}

impl Kernel for ChannelVar {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, mean, shape) = (inputs[0].numbers(), inputs[1].numbers(), &shapes.inputs[0]);
        let (batch, _, positions) = sizes(shape);
        pieces(output, 1, batch * positions, |c, var| {
            let total: f64 = rows(shape, c).map(|r| f64::from(squares(&x[r], mean[c]))).sum();
            var[0] = (total / (batch * positions) as f64) as f32;
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (x, mean, shape) = (call.inputs[0].numbers(), call.inputs[1].numbers(), &call.shapes.inputs[0]);
        let (batch, _, positions) = sizes(shape);
        let n = (batch * positions) as f32;
        if let Some(dx) = &mut gradients[0] {
            each_plane(dx, shape, |c, range, dx, add| {
                let (d, mean) = (call.cotangent[c] * 2.0 / n, mean[c]);
                let each = dx.iter_mut().zip(&x[range]);
                if add {
                    each.for_each(|(g, x)| *g += d * (x - mean));
                } else {
                    each.for_each(|(g, x)| *g = d * (x - mean));
                }
            });
        }
        if let Some(dm) = &mut gradients[1] {
            let add = dm.add;
            pieces(dm.data, 1, batch * positions, |c, dm| {
                // Each row's sum is centred by itself, so that nothing large cancels.
                let total: f32 = rows(shape, c).map(|r| centred(&x[r], mean[c])).sum();
                let d = call.cotangent[c] * -2.0 * total / n;
                dm[0] = if add { dm[0] + d } else { d };
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
        let (_, channels, positions) = sizes(&shapes.inputs[0]);
        pieces(output, positions, positions, |plane, y| {
            let c = plane % channels;
            let (scale, mean, beta) = (gamma[c] / (var[c] + self.epsilon as f32).sqrt(), mean[c], beta[c]);
            let x = &x[plane * positions..][..positions];
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * scale + beta);
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let [x, mean, var, gamma] = [0, 1, 2, 3].map(|i| call.inputs[i].numbers());
        let (shape, dy) = (&call.shapes.inputs[0], call.cotangent);
        let (batch, channels, positions) = sizes(shape);
        let inverse: Vec<f32> = var.iter().map(|v| 1.0 / (v + self.epsilon as f32).sqrt()).collect();
        if let Some(dx) = &mut gradients[0] {
            each_plane(dx, shape, |c, range, dx, add| {
                let scale = gamma[c] * inverse[c];
                let each = dx.iter_mut().zip(&dy[range]);
                if add {
                    each.for_each(|(g, d)| *g += d * scale);
                } else {
                    each.for_each(|(g, d)| *g = d * scale);
                }
            });
        }
        if gradients.iter().skip(1).all(Option::is_none) {
            return;
        }
        // Σ dy, and Σ dy · (x − mean), by channel.
        let mut sums = vec![0.0; 2 * channels];
        pieces(&mut sums, 2, 2 * batch * positions, |c, sums| {
            for r in rows(shape, c) {
                sums[0] += sum(&dy[r.clone()]);
                sums[1] += dot_centred(&dy[r.clone()], &x[r], mean[c]);
            }
        });
        if let Some(dm) = &mut gradients[1] {
            dm.set(|c| -gamma[c] * inverse[c] * sums[2 * c]);
        }
        if let Some(dv) = &mut gradients[2] {
            dv.set(|c| -0.5 * gamma[c] * inverse[c].powi(3) * sums[2 * c + 1]);
        }
        if let Some(dg) = &mut gradients[3] {
            dg.set(|c| inverse[c] * sums[2 * c + 1]);
        }
        if let Some(db) = &mut gradients[4] {
            db.set(|c| sums[2 * c]);
        }
    }
}
