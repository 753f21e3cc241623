//! `group_norm` over maps with their channels last: each group of channels of each image has moments of its own.
//!
//! Sums are taken for each channel of an image, and then over the channels of each group. An image is one task.

use super::channels::Cut;
use super::math::vectorised;
use super::parallel::{pieces, scratch};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::group_norm::GroupNorm;

/// The sizes of an image, and what each of its channels is shifted and scaled by before gamma and beta.
struct Image<'a> {
    cut: Cut,
    /// Channels of a group, and numbers in it.
    group: usize,
    count: usize,
    x: &'a [f32],
}

impl<'a> Image<'a> {
    fn new(op: &GroupNorm, shape: &[usize], x: &'a [f32]) -> Self {
        let group = shape[1] / op.groups;
        Self { cut: Cut::new(shape[1]), group, count: group * shape[2] * shape[3], x }
    }

    /// For each channel `Σ f(x[i], strip[i], i)` over the image, and then the same mean over its group for every channel.
    fn sums(&self, strip: &[f32], totals: &mut [f32], f: impl Fn(f32, f32, usize) -> f32 + Sync) {
        self.cut.sums::<1>(self.x.len(), 4, totals, |range, sums| {
            vectorised(
                #[inline(always)]
                || {
                    for (i, x) in self.x[range.clone()].chunks(self.cut.strip).enumerate() {
                        let start = range.start + i * self.cut.strip;
                        for (j, ((s, x), m)) in sums.iter_mut().zip(x).zip(strip).enumerate() {
                            *s += f(*x, *m, start + j);
                        }
                    }
                },
            );
        });
    }

    /// The mean over its group for every channel.
    fn share(&self, totals: &mut [f32]) {
        for group in totals.chunks_exact_mut(self.group) {
            let mean = group.iter().map(|s| f64::from(*s)).sum::<f64>() / self.count as f64;
            group.fill(mean as f32);
        }
    }

    /// Strips of the mean and of the inverse deviation of each channel's group.
    fn moments(&self, epsilon: f32, means: &mut [f32], inverses: &mut [f32]) {
        scratch(self.cut.channels, |totals| {
            means.fill(0.0);
            self.sums(means, totals, |x, _, _| x);
            self.share(totals);
            self.cut.repeat(|c| totals[c], means);
            self.sums(means, totals, |x, m, _| (x - m) * (x - m));
            self.share(totals);
            self.cut.repeat(|c| 1.0 / (totals[c] + epsilon).sqrt(), inverses);
        });
    }
}

/// Inputs: x, gamma, beta.
impl Kernel for GroupNorm {
    fn reads(&self, i: usize) -> bool {
        i < 2
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let [x, gamma, beta] = [0, 1, 2].map(|i| inputs[i].numbers());
        let shape = &shapes.output;
        let size = shape[1..].iter().product::<usize>();
        pieces(output, size, 4 * size, |n, y| {
            let image = Image::new(self, shape, &x[n * size..][..size]);
            let strip = image.cut.strip;
            scratch(3 * strip, |buffer| {
                let (means, rest) = buffer.split_at_mut(strip);
                let (scales, betas) = rest.split_at_mut(strip);
                image.moments(self.epsilon as f32, means, scales);
                scales.iter_mut().zip(gamma.iter().cycle()).for_each(|(s, g)| *s *= g);
                image.cut.repeat(|c| beta[c], betas);
                let (means, scales, betas) = (&*means, &*scales, &*betas);
                vectorised(
                    #[inline(always)]
                    || {
                        for (y, x) in y.chunks_mut(strip).zip(image.x.chunks(strip)) {
                            for ((y, x), ((m, s), b)) in y.iter_mut().zip(x).zip(means.iter().zip(scales).zip(betas)) {
                                *y = (x - m) * s + b;
                            }
                        }
                    },
                );
            });
        });
    }

    /// As for `layer_norm`: with `n` the normal form of x and `u = dy · γ`, `dx = (u − mean u − n · mean (u · n)) / σ`.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let ([x, gamma], dy) = ([0, 1].map(|i| call.inputs[i].numbers()), call.cotangent);
        let shape = &call.shapes.output;
        let (channels, size) = (shape[1], shape[1..].iter().product::<usize>());
        let strip = Cut::new(channels).strip;
        let [dx, dg, db] = gradients else { panic!("bug: group norm has three inputs") };
        // For each image and channel: Σ dy, Σ dy · n; and strips of the mean and the inverse deviation of its group.
        let each = 2 * channels + 2 * strip;
        scratch(shape[0] * each, |facts| {
            pieces(facts, each, 8 * size, |n, facts| {
                let (image, dy) = (Image::new(self, shape, &x[n * size..][..size]), &dy[n * size..][..size]);
                let (totals, strips) = facts.split_at_mut(2 * channels);
                let (means, inverses) = strips.split_at_mut(strip);
                image.moments(self.epsilon as f32, means, inverses);
                let (plain, along) = totals.split_at_mut(channels);
                image.sums(means, plain, |_, _, i| dy[i]);
                image.sums(means, along, |x, m, i| dy[i] * (x - m));
                along.iter_mut().zip(&*inverses).for_each(|(a, inverse)| *a *= inverse);
            });
            let facts = &*facts;
            for (gradient, which) in [(dg, channels), (db, 0)] {
                let Some(gradient) = gradient else { continue };
                gradient.set(|c| facts.chunks_exact(each).map(|f| f[which + c]).sum());
            }
            let Some(dx) = dx else { return };
            let add = dx.add;
            pieces(dx.data, size, 4 * size, |n, dx| {
                let (image, dy) = (Image::new(self, shape, &x[n * size..][..size]), &dy[n * size..][..size]);
                let (totals, strips) = facts[n * each..][..each].split_at(2 * channels);
                let (means, inverses) = strips.split_at(strip);
                scratch(2 * channels + 3 * strip, |buffer| {
                    let (shared, strips) = buffer.split_at_mut(2 * channels);
                    let factors = gamma.iter().cycle();
                    shared.iter_mut().zip(totals.iter().zip(factors)).for_each(|(s, (t, g))| *s = t * g);
                    shared.chunks_exact_mut(channels).for_each(|s| image.share(s));
                    let (a, rest) = strips.split_at_mut(strip);
                    let (b, gammas) = rest.split_at_mut(strip);
                    image.cut.repeat(|c| shared[c], a);
                    image.cut.repeat(|c| shared[channels + c], b);
                    image.cut.repeat(|c| gamma[c], gammas);
                    let (a, b, gammas) = (&*a, &*b, &*gammas);
                    vectorised(
                        #[inline(always)]
                        || {
                            for (i, dx) in dx.chunks_mut(strip).enumerate() {
                                let (start, n) = (i * strip, dx.len());
                                let (x, dy) = (&image.x[start..][..n], &dy[start..][..n]);
                                let (m, inverse, gamma) = (&means[..n], &inverses[..n], &gammas[..n]);
                                let (a, b) = (&a[..n], &b[..n]);
                                for j in 0..n {
                                    let normal = (x[j] - m[j]) * inverse[j];
                                    let d = inverse[j] * (dy[j] * gamma[j] - a[j] - normal * b[j]);
                                    dx[j] = if add { dx[j] + d } else { d };
                                }
                            }
                        },
                    );
                });
            });
        });
    }
}
