//! Depthwise convolution of any window, stride and dilation, over maps with their channels last: pixel after pixel.

use super::geometry::{Geometry, unpack};
use crate::kernels::cpu::function::apply;
use crate::kernels::cpu::math::vectorised;
use crate::kernels::cpu::parallel::{pieces, scratch};
use crate::ops::epilogue::Activation;

/// `y += a · b`, number by number.
#[inline(always)]
fn add_products(y: &mut [f32], a: &[f32], b: &[f32]) {
    for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
        *y += a * b;
    }
}

/// `y = f(w ⋆ x + bias + residual)`; `bias` and `residual` may be empty.
pub fn forward(
    g: &Geometry,
    packed: &[f32],
    x: &[f32],
    bias: &[f32],
    residual: &[f32],
    activation: Option<Activation>,
    y: &mut [f32],
) {
    let (c, [h, w], [oh, ow]) = (g.channels, g.image, g.positions);
    pieces(y, ow * c, ow * c * g.taps(), |line, y| {
        let (n, oy) = (line / oh, line % oh);
        vectorised(
            #[inline(always)]
            || {
                for (ox, y) in y.chunks_exact_mut(c).enumerate() {
                    y.fill(0.0);
                    y.iter_mut().zip(bias).for_each(|(y, b)| *y = *b);
                    for ky in g.samples(0, oy) {
                        for kx in g.samples(1, ox) {
                            let pixel = (n * h + g.pixel(0, oy, ky)) * w + g.pixel(1, ox, kx);
                            let tap = ky * g.window.kernel[1] + kx;
                            add_products(y, &x[pixel * c..][..c], &packed[tap * c..][..c]);
                        }
                    }
                }
            },
        );
        if !residual.is_empty() {
            y.iter_mut().zip(&residual[line * ow * c..]).for_each(|(y, r)| *y += r);
        }
        if let Some(activation) = activation {
            apply(activation, y);
        }
    });
}

/// `dx = wᵀ ⋆ dy`, or added to it: each pixel from the positions that read it.
pub fn data_gradient(g: &Geometry, packed: &[f32], dy: &[f32], dx: &mut [f32], add: bool) {
    let (c, [h, w], [oh, ow]) = (g.channels, g.image, g.positions);
    // The position whose sample `k` is pixel `i`, if there is one.
    let position = |axis: usize, i: usize, k: usize| {
        let place = (i + g.window.padding[2 * axis]).checked_sub(k * g.window.dilation[axis])?;
        let (o, between) = (place / g.window.stride[axis], place % g.window.stride[axis]);
        (between == 0 && o < g.positions[axis]).then_some(o)
    };
    pieces(dx, w * c, w * c * g.taps(), |line, dx| {
        let (n, iy) = (line / h, line % h);
        vectorised(
            #[inline(always)]
            || {
                for (ix, dx) in dx.chunks_exact_mut(c).enumerate() {
                    if !add {
                        dx.fill(0.0);
                    }
                    for (ky, oy) in (0..g.window.kernel[0]).filter_map(|k| Some((k, position(0, iy, k)?))) {
                        for (kx, ox) in (0..g.window.kernel[1]).filter_map(|k| Some((k, position(1, ix, k)?))) {
                            let (tap, place) = (ky * g.window.kernel[1] + kx, (n * oh + oy) * ow + ox);
                            add_products(dx, &dy[place * c..][..c], &packed[tap * c..][..c]);
                        }
                    }
                }
            },
        );
    });
}

/// The gradient of windows of `[channels, 1, height, width]`, written or added: each sample of the window by itself.
pub fn weight_gradient(g: &Geometry, dy: &[f32], x: &[f32], dw: &mut [f32], add: bool) {
    let (c, [h, w], [oh, ow]) = (g.channels, g.image, g.positions);
    scratch(dw.len(), |packed| {
        pieces(packed, c, g.batch * oh * ow * c, |tap, sums| {
            let (ky, kx) = (tap / g.window.kernel[1], tap % g.window.kernel[1]);
            sums.fill(0.0);
            // What a line gives joins the others at its end, which keeps the rounding small.
            scratch(c, |own| {
                for line in (0..g.batch * oh).filter(|line| g.samples(0, line % oh).contains(&ky)) {
                    own.fill(0.0);
                    for ox in (0..ow).filter(|ox| g.samples(1, *ox).contains(&kx)) {
                        let pixel = (line / oh * h + g.pixel(0, line % oh, ky)) * w + g.pixel(1, ox, kx);
                        add_products(own, &x[pixel * c..][..c], &dy[(line * ow + ox) * c..][..c]);
                    }
                    sums.iter_mut().zip(&*own).for_each(|(s, o)| *s += o);
                }
            });
        });
        unpack(packed, c, add, dw);
    });
}
