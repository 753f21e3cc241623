//! `batch_norm`: the norm over given moments, with its epilogue; formulas stand with the op.
//!
//! `z = (x − m) · s + β` with `s = γ / √(v + ε)`, and `y = f(z + residual)`. With `dz = dy · f′` the way back is
//!
//! - `dβ = Σ dz`, `dγ = Σ dz · (x − m) / √(v + ε)`, and the gradient of the residual is `dz`;
//! - over given moments, `dx = dz · s`, `dm = −s · Σ dz`, `dv = −½ · s / (v + ε) · Σ dz · (x − m)`;
//! - over the moments of x itself, `dx = (dz − Σ dz / n − (x − m) / (v + ε) · Σ dz · (x − m) / n) · s`.
//!
//! So one walk over memory sums, where sums are asked for, and one writes. Neither keeps `dz`: where the activation is
//! [`Limits`], `dz` follows from `dy` and `y` as they are read, and otherwise it is computed a block at a time.

mod walks;

use super::channels::{Cut, planes, rows, transpose};
use super::function::{Limits, apply, through};
use super::parallel::tasks;
use super::parallel::{pieces, scratch};
use super::tile::Results;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::batch_norm::BatchNorm;
use std::ops::Range;
use walks::{Forward, Sums, Write};

/// What the norm does to each channel: a strip each of `m`, `s` and `β`.
struct Norm<'a> {
    cut: Cut,
    mean: &'a [f32],
    scale: &'a [f32],
    beta: &'a [f32],
    op: &'a BatchNorm,
}

/// Calls `f` with the norm. `beta` may be empty, where nobody reads it.
fn with_norm<R>(op: &BatchNorm, inputs: &[Input], channels: usize, f: impl FnOnce(&Norm) -> R) -> R {
    let [mean, var, gamma, beta] = [1, 2, 3, 4].map(|i| inputs[i].numbers());
    let cut = Cut::new(channels);
    scratch(3 * cut.strip, |strips| {
        let (means, rest) = strips.split_at_mut(cut.strip);
        let (scales, betas) = rest.split_at_mut(cut.strip);
        cut.repeat(|c| mean[c], means);
        cut.repeat(|c| gamma[c] / (var[c] + op.epsilon as f32).sqrt(), scales);
        cut.repeat(|c| beta.get(c).copied().unwrap_or(0.0), betas);
        f(&Norm { cut, mean: means, scale: scales, beta: betas, op })
    })
}

impl Norm<'_> {
    /// `y = f(z + residual)` for whole rows, `f` the limits; without a residual its slice is empty.
    fn forward(&self, x: &[f32], residual: &[f32], limits: Limits, y: &mut [f32]) {
        let (mean, scale, beta) = (self.mean, self.scale, self.beta);
        pulp::Arch::new().dispatch(Forward { x, residual, mean, scale, beta, limits, y });
    }
}

/// What the way back reads: numbers of the same length, empty where nothing is read.
#[derive(Clone, Copy)]
struct Back<'a> {
    norm: &'a Norm<'a>,
    dy: &'a [f32],
    x: &'a [f32],
    y: &'a [f32],
    residual: &'a [f32],
}

impl Back<'_> {
    /// Calls `f` with gradients of a block, results, and limits: `dz` is what the limits let pass.
    fn with_dz<R>(&self, range: Range<usize>, f: impl FnOnce(&[f32], &[f32], Limits) -> R) -> R {
        let dy = &self.dy[range.clone()];
        let (limits, rest) = Limits::of(self.norm.op.epilogue.activation);
        let Some(activation) = rest else {
            return f(dy, if limits.any() { &self.y[range] } else { dy }, limits);
        };
        scratch(dy.len(), |dz| {
            let by = activation.slope_from_result().then(|| &self.y[range.clone()]);
            if by.is_none() {
                let residual = if self.residual.is_empty() { &[] } else { &self.residual[range.clone()] };
                self.norm.forward(&self.x[range], residual, Limits::NONE, dz);
            }
            through(activation, by, dy, &mut Gradient { data: dz, add: false });
            f(dz, dz, Limits::NONE)
        })
    }

    /// For each channel `Σ dz`, and then for each `Σ dz · (x − m)`.
    fn sums(&self, totals: &mut [f32]) {
        let cut = self.norm.cut;
        cut.sums::<2>(self.dy.len(), 3, totals, |range, sums| {
            let (plain, along) = sums.split_at_mut(cut.strip);
            self.with_dz(range.clone(), |dy, y, limits| {
                let (x, mean) = (&self.x[range.clone()], self.norm.mean);
                pulp::Arch::new().dispatch(Sums { dy, y, x, mean, limits, plain, along });
            });
        });
    }

    /// `dx = (dz − a − (x − m) · b) · s` and the gradient of the residual; strips of `a` and `b` are empty where they are 0.
    fn write(&self, dx: Option<&mut Gradient>, dr: Option<&mut Gradient>, a: &[f32], b: &[f32]) {
        let (cut, len) = (self.norm.cut, self.dy.len());
        let dx = dx.map(|g| (Results::new(g.data), g.add));
        let dr = dr.map(|g| (Results::new(g.data), g.add));
        tasks(len.div_ceil(cut.block), 4 * cut.block, |block| {
            let range = block * cut.block..len.min((block + 1) * cut.block);
            let [mut dx, mut dr] = [&dx, &dr].map(|g| {
                let (data, add) = g.as_ref()?;
                // SAFETY: blocks do not overlap, and each is one task.
                Some((unsafe { data.part(range.start, range.len()) }, *add))
            });
            self.with_dz(range.clone(), |dy, y, limits| {
                let x = if b.is_empty() { &[] } else { &self.x[range.clone()] };
                let (mean, scale) = (self.norm.mean, self.norm.scale);
                let (dx, dr) = (dx.take(), dr.take());
                pulp::Arch::new().dispatch(Write { dy, y, x, mean, scale, a, b, limits, dx, dr });
            });
        });
    }
}

/// Inputs: x, mean, variance, gamma, beta, and the residual.
impl Kernel for BatchNorm {
    fn reads(&self, i: usize) -> bool {
        i < 4 || self.epilogue.activation.is_some_and(|f| !f.slope_from_result())
    }

    fn reads_output(&self) -> bool {
        self.epilogue.activation.is_some_and(|f| f.slope_from_result())
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, residual) = (inputs[0].numbers(), if self.epilogue.residual { inputs[5].numbers() } else { &[] });
        let (channels, _) = rows(&shapes.inputs[0]);
        let (limits, rest) = Limits::of(self.epilogue.activation);
        with_norm(self, inputs, channels, |norm| {
            let run = |x: &[f32], residual: &[f32], output: &mut [f32]| {
                pieces(output, norm.cut.block, 2 * norm.cut.block, |i, y| {
                    let start = i * norm.cut.block;
                    norm.forward(&x[start..], residual.get(start..).unwrap_or(&[]), limits, y);
                    if let Some(activation) = rest {
                        apply(activation, y);
                    }
                });
            };
            let Some([n, _, places]) = planes(shapes) else { return run(x, residual, output) };
            scratch(3 * x.len(), |buffer| {
                let (x_rows, rest) = buffer.split_at_mut(x.len());
                let (residual_rows, y_rows) = rest.split_at_mut(x.len());
                transpose(x, [n, channels, places], false, x_rows);
                transpose(residual, [n, channels, places], false, residual_rows);
                run(x_rows, &residual_rows[..residual.len()], y_rows);
                transpose(y_rows, [n, places, channels], false, output);
            });
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (channels, rows) = rows(&call.shapes.inputs[0]);
        let residual = if self.epilogue.residual { call.inputs[5].numbers() } else { &[] };
        let read = [call.cotangent, call.inputs[0].numbers(), call.output, residual];
        with_norm(self, call.inputs, channels, |norm| {
            let [dy, x, y, residual] = read;
            let Some([n, _, places]) = planes(call.shapes) else {
                return back(&Back { norm, dy, x, y, residual }, call, rows, gradients);
            };
            // Everything in rows, and the gradients of rows back again.
            let len = dy.len();
            scratch(6 * len, |buffer| {
                let (read_rows, written) = buffer.split_at_mut(4 * len);
                for (to, from) in read_rows.chunks_exact_mut(len.max(1)).zip(read) {
                    transpose(from, [n, channels, places], false, to);
                }
                let of = |i: usize| &read_rows[i * len..][..read[i].len()];
                let rowwise = Back { norm, dy: of(0), x: of(1), y: of(2), residual: of(3) };
                let (dx, dr) = written.split_at_mut(len);
                let [gx, gm, gv, gg, gb, gr @ ..] = gradients else { panic!("bug: batch norm has five inputs") };
                let mut inner = [
                    gx.is_some().then_some(Gradient { data: &mut *dx, add: false }),
                    gm.take(),
                    gv.take(),
                    gg.take(),
                    gb.take(),
                    matches!(gr, [Some(_)]).then_some(Gradient { data: &mut *dr, add: false }),
                ];
                back(&rowwise, call, rows, &mut inner);
                for (gradient, from) in [(gx.as_mut(), dx), (gr.first_mut().and_then(Option::as_mut), dr)] {
                    let Some(gradient) = gradient else { continue };
                    transpose(from, [n, places, channels], gradient.add, gradient.data);
                }
            });
        });
    }
}

fn back(rowwise: &Back, call: &Backward, rows: usize, gradients: &mut [Option<Gradient>]) {
    let (norm, op) = (rowwise.norm, rowwise.norm.op);
    let (channels, strip) = (norm.cut.channels, norm.cut.strip);
    let var = call.inputs[2].numbers();
    let inverse = |c: usize| 1.0 / (var[c] + op.epsilon as f32).sqrt();
    let [dx, dm, dv, dg, db, dr @ ..] = gradients else { panic!("bug: batch norm has five inputs") };
    let own = op.own_moments && dx.is_some();
    let summed = own || [&dm, &dv, &dg, &db].iter().any(|g| g.is_some());
    scratch(2 * channels + 2 * strip, |buffer| {
        let (totals, strips) = buffer.split_at_mut(2 * channels);
        let (a, b) = strips.split_at_mut(strip);
        if summed {
            rowwise.sums(totals);
        }
        let (plain, along) = totals.split_at(channels);
        if own {
            norm.cut.repeat(|c| plain[c] / rows as f32, a);
            norm.cut.repeat(|c| along[c] / rows as f32 * inverse(c) * inverse(c), b);
        }
        let of = |strip: &'_ [f32]| if own { strip.len() } else { 0 };
        let (na, nb) = (of(a), of(b));
        let dr = dr.first_mut().and_then(Option::as_mut);
        if dx.is_some() || dr.is_some() {
            rowwise.write(dx.as_mut(), dr, &a[..na], &b[..nb]);
        }
        for (gradient, which) in [(dm, 0), (dv, 1), (dg, 2), (db, 3)] {
            let Some(gradient) = gradient else { continue };
            match which {
                0 => gradient.set(|c| -norm.scale[c] * plain[c]),
                1 => gradient.set(|c| -0.5 * norm.scale[c] * inverse(c) * inverse(c) * along[c]),
                2 => gradient.set(|c| inverse(c) * along[c]),
                _ => gradient.set(|c| plain[c]),
            }
        }
    });
}
