//! `group_norm`: each group of channels of each image is a row with moments of its own.

use super::layer_norm::moments;
use super::math::{sum, sum_pairs, vectorised};
use super::rows::blocks;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::group_norm::GroupNorm;

/// Channels, channels of a group, and places of a channel.
fn sizes(op: &GroupNorm, shapes: &Shapes) -> (usize, usize, usize) {
    let shape = &shapes.output;
    (shape[1], shape[1] / op.groups, shape[2] * shape[3])
}

/// Inputs: x, gamma, beta.
impl Kernel for GroupNorm {
    fn reads(&self, i: usize) -> bool {
        i < 2
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let [x, gamma, beta] = [0, 1, 2].map(|i| inputs[i].numbers());
        let (channels, group, places) = sizes(self, shapes);
        let width = group * places;
        blocks(output, width, |first, block| {
            vectorised(
                #[inline(always)]
                || {
                    for (row, (y, x)) in
                        block.chunks_exact_mut(width).zip(x[first * width..].chunks_exact(width)).enumerate()
                    {
                        let (mean, inverse) = moments(x, self.epsilon as f32);
                        let channel = (first + row) * group % channels;
                        let both = y.chunks_exact_mut(places).zip(x.chunks_exact(places)).enumerate();
                        for (c, (y, x)) in both {
                            let (scale, shift) = (inverse * gamma[channel + c], beta[channel + c]);
                            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * scale + shift);
                        }
                    }
                },
            );
        });
    }

    /// As for `layer_norm`, with `Σ dy` and `Σ dy · n` of each channel, `n` the normal form of x.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let [x, gamma] = [0, 1].map(|i| call.inputs[i].numbers());
        let dy = call.cotangent;
        let (channels, group, places) = sizes(self, call.shapes);
        let width = group * places;
        let [dx, dg, db] = gradients else { panic!("bug: group norm has three inputs") };
        // For each channel of each image: Σ dy, Σ dy · n, and the mean and inverse deviation of its group.
        let mut facts = vec![0.0f32; x.len() / places * 4];
        facts_of(&mut facts, x, dy, (group, places), self.epsilon as f32);
        for (gradient, which) in [(dg, 1), (db, 0)] {
            let Some(gradient) = gradient else { continue };
            gradient.set(|c| facts.chunks_exact(4).skip(c).step_by(channels).map(|f| f[which]).sum());
        }
        let Some(dx) = dx else { return };
        let add = dx.add;
        blocks(dx.data, width, |first, block| {
            for (row, dx) in block.chunks_exact_mut(width).enumerate() {
                let own = (first + row) * group;
                let mean_of = |which: usize| {
                    let term = |c: usize| facts[(own + c) * 4 + which] * gamma[(own + c) % channels];
                    (0..group).map(term).sum::<f32>() / width as f32
                };
                let (mean_u, mean_un) = (mean_of(0), mean_of(1));
                for (c, dx) in dx.chunks_exact_mut(places).enumerate() {
                    let range = (own + c) * places..(own + c + 1) * places;
                    let (x, dy, gamma) = (&x[range.clone()], &dy[range], gamma[(own + c) % channels]);
                    let (mean, inverse) = (facts[(own + c) * 4 + 2], facts[(own + c) * 4 + 3]);
                    let value = |i: usize| inverse * (dy[i] * gamma - mean_u - (x[i] - mean) * inverse * mean_un);
                    Gradient { data: dx, add }.set(value);
                }
            }
        });
    }
}

fn facts_of(facts: &mut [f32], x: &[f32], dy: &[f32], (group, places): (usize, usize), epsilon: f32) {
    let width = group * places;
    let all = x.chunks_exact(width).zip(dy.chunks_exact(width));
    for (facts, (x, dy)) in facts.chunks_exact_mut(4 * group).zip(all) {
        vectorised(
            #[inline(always)]
            || {
                let (mean, inverse) = moments(x, epsilon);
                let rows = x.chunks_exact(places).zip(dy.chunks_exact(places));
                for (facts, (x, dy)) in facts.chunks_exact_mut(4).zip(rows) {
                    let along = sum_pairs(x, dy, |x, d| (x - mean) * inverse * d);
                    facts.copy_from_slice(&[sum(dy, |d| d), along, mean, inverse]);
                }
            },
        );
    }
}
