//! The gradient of a bias behind filters.

use crate::kernels::cpu::Gradient;
use crate::kernels::cpu::math::vectorised;
use crate::kernels::cpu::parallel::{pieces, scratch};

/// Pixels that are summed by one task.
const PIXELS: usize = 1 << 10;

/// For each channel, the sum over all pixels, in parts whose number depends on sizes alone.
pub fn gradient(dz: &[f32], db: &mut Gradient) {
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
