//! Gradients behind the filters: through the activation, and of the bias.

use crate::kernels::cpu::Gradient;
use crate::kernels::cpu::math::vectorised;
use crate::kernels::cpu::parallel::{long, pieces, scratch};
use crate::kernels::cpu::tile::{slope, slope_from_result};
use crate::ops::epilogue::Activation;

/// `dz = dy · f'`, with `from` the result, or the sum before the activation where its slope does not follow from the result.
pub fn through(activation: Activation, from: &[f32], dy: &[f32], dz: &mut [f32]) {
    let by_result = activation.slope_from_result();
    long(dz, |start, dz| {
        let (from, dy) = (&from[start..][..dz.len()], &dy[start..][..dz.len()]);
        vectorised(
            #[inline(always)]
            || {
                for ((dz, dy), &from) in dz.iter_mut().zip(dy).zip(from) {
                    let slope = if by_result { slope_from_result(activation, from) } else { slope(activation, from) };
                    *dz = dy * slope;
                }
            },
        );
    });
}

/// Pixels that are summed by one task.
const PIXELS: usize = 1 << 10;

/// The gradient of a bias: for each channel, the sum over all pixels, in parts whose number depends on sizes alone.
pub fn bias(dz: &[f32], db: &mut Gradient) {
    let channels = db.data.len();
    let pixels = dz.len() / channels.max(1);
    let parts = pixels.div_ceil(PIXELS).clamp(1, 64);
    scratch(parts * channels, |partial| {
        pieces(partial, channels, dz.len() / parts, |part, sums| {
            let rows = &dz[pixels * part / parts * channels..pixels * (part + 1) / parts * channels];
            sums.fill(0.0);
            vectorised(
                #[inline(always)]
                || {
                    for row in rows.chunks_exact(channels) {
                        sums.iter_mut().zip(row).for_each(|(s, d)| *s += d);
                    }
                },
            );
        });
        let (total, others) = partial.split_at_mut(channels);
        for other in others.chunks_exact(channels.max(1)) {
            total.iter_mut().zip(other).for_each(|(s, o)| *s += o);
        }
        if db.add {
            db.data.iter_mut().zip(total).for_each(|(g, s)| *g += *s);
        } else {
            db.data.copy_from_slice(total);
        }
    });
}
