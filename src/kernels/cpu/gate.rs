//! `scale_channels`: a factor for each channel of each example, with the channels of a map first or last.

use super::math::sum_pairs;
use super::parallel::pieces;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::scale_channels::ScaleChannels;

/// Channels, and places of a channel.
fn sizes(shapes: &Shapes) -> (usize, usize) {
    (shapes.output[1], shapes.output[2..].iter().product())
}

/// Whether the channels of a place lie side by side. A value of three axes is no feature map, and is stored as it is written.
fn side_by_side(shapes: &Shapes) -> bool {
    shapes.channels_last && shapes.output.len() == 4
}

/// Leaves `keep(y[i], a[i] · s[of its channel])` in `y`, example by example.
fn scale(a: &[f32], s: &[f32], shapes: &Shapes, y: &mut [f32], keep: impl Fn(&mut f32, f32) + Sync) {
    let (channels, places) = sizes(shapes);
    if side_by_side(shapes) {
        pieces(y, channels * places, channels * places, |n, y| {
            let (a, s) = (&a[n * channels * places..], &s[n * channels..][..channels]);
            for (y, a) in y.chunks_exact_mut(channels).zip(a.chunks_exact(channels)) {
                y.iter_mut().zip(a.iter().zip(s)).for_each(|(y, (a, s))| keep(y, a * s));
            }
        });
    } else {
        pieces(y, places, places, |plane, y| {
            let s = s[plane];
            y.iter_mut().zip(&a[plane * places..]).for_each(|(y, a)| keep(y, a * s));
        });
    }
}

/// Inputs: x, s.
impl Kernel for ScaleChannels {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        scale(inputs[0].numbers(), inputs[1].numbers(), shapes, output, |y, value| *y = value);
    }

    /// `dx = dy · s`, and `ds` the sum of `dy · x` over the places of a channel, in their order.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (x, s, dy) = (call.inputs[0].numbers(), call.inputs[1].numbers(), call.cotangent);
        let [dx, ds] = gradients else { panic!("bug: `scale_channels` has two inputs") };
        match dx {
            Some(dx) if dx.add => scale(dy, s, call.shapes, dx.data, |g, value| *g += value),
            Some(dx) => scale(dy, s, call.shapes, dx.data, |g, value| *g = value),
            None => {}
        }
        let Some(ds) = ds else { return };
        let (channels, places) = sizes(call.shapes);
        if !side_by_side(call.shapes) {
            return ds.set(|plane| {
                let at = plane * places..(plane + 1) * places;
                sum_pairs(&x[at.clone()], &dy[at], |x, d| x * d)
            });
        }
        if !ds.add {
            ds.data.fill(0.0);
        }
        pieces(ds.data, channels, channels * places, |n, ds| {
            let at = n * channels * places..(n + 1) * channels * places;
            for (x, d) in x[at.clone()].chunks_exact(channels).zip(dy[at].chunks_exact(channels)) {
                ds.iter_mut().zip(x.iter().zip(d)).for_each(|(g, (x, d))| *g += x * d);
            }
        });
    }
}
