//! Moments of channels, for batch norm in training. Formulas stand with the ops.

use super::channels::{Cut, planes, rows, transpose};
use super::math::vectorised;
use super::parallel::{pieces, scratch};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::channel_mean::ChannelMean;
use crate::ops::channel_var::ChannelVar;

/// Calls `f` with the numbers as rows of channels.
fn as_rows<R>(x: &[f32], shapes: &Shapes, f: impl FnOnce(&[f32]) -> R) -> R {
    match planes(shapes) {
        None => f(x),
        Some(sizes) => scratch(x.len(), |rows| {
            transpose(x, sizes, false, rows);
            f(rows)
        }),
    }
}

/// Calls `f` with a gradient as rows of channels.
fn gradient_as_rows(dx: &mut Gradient, shapes: &Shapes, f: impl FnOnce(&mut Gradient)) {
    match planes(shapes) {
        None => f(dx),
        Some([n, channels, places]) => scratch(dx.data.len(), |rows| {
            f(&mut Gradient { data: &mut *rows, add: false });
            transpose(rows, [n, places, channels], dx.add, dx.data);
        }),
    }
}

/// Calls `f` with the start of each strip of a gradient, and the strip.
fn each_strip(dx: &mut Gradient, cut: Cut, f: impl Fn(usize, &mut [f32], bool) + Sync) {
    let add = dx.add;
    pieces(dx.data, cut.block, cut.block, |block, dx| {
        for (strip, dx) in dx.chunks_mut(cut.strip).enumerate() {
            f(block * cut.block + strip * cut.strip, dx, add);
        }
    });
}

impl Kernel for ChannelMean {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (channels, rows) = rows(&shapes.inputs[0]);
        let cut = Cut::new(channels);
        as_rows(inputs[0].numbers(), shapes, |x| {
            cut.sums::<1>(x.len(), 1, output, |range, sums| {
                vectorised(
                    #[inline(always)]
                    || {
                        for x in x[range].chunks(cut.strip) {
                            for (s, x) in sums.iter_mut().zip(x) {
                                *s += x;
                            }
                        }
                    },
                );
            });
        });
        output.iter_mut().for_each(|m| *m /= rows.max(1) as f32);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let (channels, rows) = rows(&call.shapes.inputs[0]);
        let cut = Cut::new(channels);
        scratch(cut.strip, |each| {
            cut.repeat(|c| call.cotangent[c] / rows.max(1) as f32, each);
            gradient_as_rows(dx, call.shapes, |dx| {
                each_strip(dx, cut, |_, dx, add| {
                    if add {
                        dx.iter_mut().zip(&*each).for_each(|(g, d)| *g += d);
                    } else {
                        dx.copy_from_slice(&each[..dx.len()]);
                    }
                });
            });
        });
    }
}

impl Kernel for ChannelVar {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (channels, rows) = rows(&shapes.inputs[0]);
        let cut = Cut::new(channels);
        scratch(cut.strip, |mean| {
            cut.repeat(|c| inputs[1].numbers()[c], mean);
            as_rows(inputs[0].numbers(), shapes, |x| {
                cut.sums::<1>(x.len(), 1, output, |range, sums| {
                    vectorised(
                        #[inline(always)]
                        || {
                            for x in x[range].chunks(cut.strip) {
                                for ((s, x), m) in sums.iter_mut().zip(x).zip(&*mean) {
                                    *s += (x - m) * (x - m);
                                }
                            }
                        },
                    );
                });
            });
        });
        output.iter_mut().for_each(|v| *v /= rows.max(1) as f32);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (channels, rows) = rows(&call.shapes.inputs[0]);
        let (cut, mean) = (Cut::new(channels), call.inputs[1].numbers());
        let factor = |c: usize| call.cotangent[c] * 2.0 / rows.max(1) as f32;
        let [dx, dm] = gradients else { panic!("bug: a variance has two inputs") };
        as_rows(call.inputs[0].numbers(), call.shapes, |x| {
            scratch(2 * cut.strip + channels, |buffer| {
                let (means, rest) = buffer.split_at_mut(cut.strip);
                let (factors, totals) = rest.split_at_mut(cut.strip);
                cut.repeat(|c| mean[c], means);
                cut.repeat(factor, factors);
                if let Some(dx) = dx {
                    gradient_as_rows(dx, call.shapes, |dx| {
                        each_strip(dx, cut, |start, dx, add| {
                            let of = dx.iter_mut().zip(&x[start..]).zip(means.iter().zip(&*factors));
                            if add {
                                of.for_each(|((g, x), (m, d))| *g += d * (x - m));
                            } else {
                                of.for_each(|((g, x), (m, d))| *g = d * (x - m));
                            }
                        });
                    });
                }
                if let Some(dm) = dm {
                    // What is summed is centred, so that nothing large cancels.
                    cut.sums::<1>(x.len(), 1, totals, |range, sums| {
                        for x in x[range].chunks(cut.strip) {
                            sums.iter_mut().zip(x.iter().zip(&*means)).for_each(|(s, (x, m))| *s += x - m);
                        }
                    });
                    dm.set(|c| -factor(c) * totals[c]);
                }
            });
        });
    }
}
