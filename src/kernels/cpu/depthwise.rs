//! Depthwise convolution: each channel by its own window.
//!
//! Over maps with their channels last: [`forward`], [`data_gradient`] and [`weight_gradient`], over windows packed by [`pack`].
//!
//! Over row-major maps, for as long as `conv2d` has them so: a plane is copied into its padding and taken apart by the stride.
//! Phase `(a, b)` holds the pixels whose row is `a` and whose column is `b` modulo the stride. Then each sample of the window
//! reads consecutive numbers of one phase, for all positions at once, and no loop meets an edge. The positions get rows as wide
//! as a phase's; what stands between them is left out.

mod general;
mod geometry;
mod input;
mod sweep;
mod weights;

pub use geometry::{Geometry, pack};

use crate::ops::epilogue::Activation;

/// `y = f(w ⋆ x + bias + residual)`, with packed windows; `bias` and `residual` may be empty.
pub fn forward(
    g: &Geometry,
    packed: &[f32],
    x: &[f32],
    bias: &[f32],
    residual: &[f32],
    activation: Option<Activation>,
    y: &mut [f32],
) {
    let run = if g.known().is_some() { input::forward } else { general::forward };
    run(g, packed, x, bias, residual, activation, y);
}

/// `dx = wᵀ ⋆ dy` or `dx += wᵀ ⋆ dy`, with packed windows.
pub fn data_gradient(g: &Geometry, packed: &[f32], dy: &[f32], dx: &mut [f32], add: bool) {
    let run = if g.known().is_some() { input::data_gradient } else { general::data_gradient };
    run(g, packed, dy, dx, add);
}

/// The gradient of windows as they are stored, `[channels, 1, height, width]`, written or added.
pub fn weight_gradient(g: &Geometry, dy: &[f32], x: &[f32], dw: &mut [f32], add: bool) {
    let run = if g.known().is_some() { weights::weight_gradient } else { general::weight_gradient };
    run(g, dy, x, dw, add);
}

use super::bank::Bank;
use super::parallel::{pieces, scratch};
use super::unfold::Sliding;
use super::wide::{dot, spread, weigh};

/// Whether every group is one channel that is read and one that is made.
pub fn fits(bank: &Bank) -> bool {
    bank.rows == 1 && bank.channels == 1 && bank.groups > 1
}

/// How a padded plane is taken apart.
struct Phases {
    sliding: Sliding,
    /// Height and width of a phase.
    size: [usize; 2],
    /// Numbers from the first to the last position, in rows as wide as a phase's.
    span: usize,
    /// For each sample of the window, where position 0 reads.
    starts: Vec<usize>,
    rows: Vec<Row>,
}

/// A row of a phase that the image has pixels of.
struct Row {
    /// Its first pixel in the phases, and in the image.
    at: usize,
    pixel: usize,
    count: usize,
}

/// The rows of the phases of height and width `size`.
fn rows(sliding: &Sliding, [ph, pw]: [usize; 2]) -> Vec<Row> {
    let ([h, w], [sy, sx]) = (sliding.image, sliding.window.stride);
    let [top, _, left, _] = sliding.window.padding;
    let mut rows = vec![];
    for y in (0..h).filter(|y| (y + top) / sy < ph) {
        for b in 0..sx {
            // The first pixel of this phase, and its column there.
            let x = (b + sx - left % sx) % sx;
            let column = (x + left) / sx;
            if x < w && column < pw {
                let phase = (y + top) % sy * sx + b;
                let at = (phase * ph + (y + top) / sy) * pw + column;
                rows.push(Row { at, pixel: y * w + x, count: (w - x).div_ceil(sx).min(pw - column) });
            }
        }
    }
    rows
}

impl Phases {
    fn new(sliding: Sliding) -> Self {
        let Sliding { window, positions, .. } = sliding;
        let [sy, sx] = window.stride;
        let reach = |a: usize| positions[a] + window.dilation[a] * (window.kernel[a] - 1) / window.stride[a];
        let size = [reach(0), reach(1)];
        let sample = |ky: usize, kx: usize| {
            let (y, x) = (ky * window.dilation[0], kx * window.dilation[1]);
            (y % sy * sx + x % sx) * size[0] * size[1] + y / sy * size[1] + x / sx
        };
        let starts = (0..sliding.taps()).map(|k| sample(k / window.kernel[1], k % window.kernel[1])).collect();
        Self { sliding, size, span: (positions[0] - 1) * size[1] + positions[1], starts, rows: rows(&sliding, size) }
    }

    fn len(&self) -> usize {
        self.sliding.window.stride.iter().chain(&self.size).product()
    }

    fn split(&self, x: &[f32], phases: &mut [f32]) {
        let stride = self.sliding.window.stride[1];
        phases.fill(0.0);
        for &Row { at, pixel, count } in &self.rows {
            let row = &mut phases[at..at + count];
            if stride == 1 {
                row.copy_from_slice(&x[pixel..pixel + count]);
            } else {
                row.iter_mut().zip(x[pixel..].iter().step_by(stride)).for_each(|(p, x)| *p = *x);
            }
        }
    }

    /// The gradient of [`Phases::split`], added to `x`.
    fn join(&self, phases: &[f32], x: &mut [f32]) {
        let stride = self.sliding.window.stride[1];
        for &Row { at, pixel, count } in &self.rows {
            let row = &phases[at..at + count];
            if stride == 1 {
                x[pixel..pixel + count].iter_mut().zip(row).for_each(|(x, p)| *x += p);
            } else {
                x[pixel..].iter_mut().step_by(stride).zip(row).for_each(|(x, p)| *x += p);
            }
        }
    }

    /// A plane of results in rows as wide as a phase's, with zeros between them.
    fn widen(&self, y: &[f32], wide: &mut [f32]) {
        wide.fill(0.0);
        let ow = self.sliding.positions[1];
        wide.chunks_mut(self.size[1]).zip(y.chunks_exact(ow)).for_each(|(wide, y)| wide[..ow].copy_from_slice(y));
    }
}

/// `y = w ⋆ x` or `y += w ⋆ x`, plane by plane.
pub fn filter(bank: &Bank, w: &[f32], x: &[f32], y: &mut [f32], add: bool) {
    let (phases, taps, pixels) = (Phases::new(bank.sliding), bank.sliding.taps(), bank.sliding.pixels());
    let ow = bank.sliding.positions[1];
    pieces(y, bank.sliding.places(), phases.span * taps, |plane, y| {
        let w = &w[plane % bank.groups * taps..][..taps];
        scratch(phases.len() + phases.span, |buffer| {
            let (split, wide) = buffer.split_at_mut(phases.len());
            phases.split(&x[plane * pixels..][..pixels], split);
            weigh(w, &phases.starts, split, wide);
            for (y, wide) in y.chunks_exact_mut(ow).zip(wide.chunks(phases.size[1])) {
                if add {
                    y.iter_mut().zip(wide).for_each(|(y, s)| *y += s);
                } else {
                    y.copy_from_slice(&wide[..ow]);
                }
            }
        });
    });
}

/// The gradient of the input, plane by plane.
pub fn stamp(bank: &Bank, w: &[f32], dy: &[f32], dx: &mut [f32], add: bool) {
    let (phases, taps, places) = (Phases::new(bank.sliding), bank.sliding.taps(), bank.sliding.places());
    pieces(dx, bank.sliding.pixels(), phases.span * taps, |plane, dx| {
        let w = &w[plane % bank.groups * taps..][..taps];
        scratch(phases.len() + phases.span, |buffer| {
            let (split, wide) = buffer.split_at_mut(phases.len());
            phases.widen(&dy[plane * places..][..places], wide);
            split.fill(0.0);
            spread(w, &phases.starts, wide, split);
            if !add {
                dx.fill(0.0);
            }
            phases.join(split, dx);
        });
    });
}

/// The gradient of the windows, channel by channel over the batch.
pub fn gradient(bank: &Bank, dy: &[f32], x: &[f32], dw: &mut [f32], add: bool) {
    let (phases, taps) = (Phases::new(bank.sliding), bank.sliding.taps());
    let (pixels, places) = (bank.sliding.pixels(), bank.sliding.places());
    pieces(dw, taps, bank.batch * phases.span * taps, |channel, dw| {
        if !add {
            dw.fill(0.0);
        }
        scratch(phases.len() + phases.span, |buffer| {
            let (split, wide) = buffer.split_at_mut(phases.len());
            for plane in (0..bank.batch).map(|n| n * bank.groups + channel) {
                phases.split(&x[plane * pixels..][..pixels], split);
                phases.widen(&dy[plane * places..][..places], wide);
                for (g, &start) in dw.iter_mut().zip(&phases.starts) {
                    *g += dot(wide, &split[start..][..wide.len()]);
                }
            }
        });
    });
}
