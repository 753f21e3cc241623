//! What happens to a tile's sums before they are written: bias, residual, activation.
#![allow(clippy::needless_range_loop, reason = "loops over constant indices become vector instructions")]

use super::WIDTH;
use crate::kernels::cpu::function::each;
use crate::ops::epilogue::Activation;

/// The end of a tile. Nothing of it by default.
#[derive(Clone, Copy, Default)]
pub struct Finish<'a> {
    /// For each column of the tile.
    pub bias: Option<&'a [f32]>,
    /// As long as the results, and read at the same places.
    pub residual: Option<&'a [f32]>,
    pub activation: Option<Activation>,
    /// Add to what is there.
    pub add: bool,
}

impl Finish<'_> {
    pub fn is_empty(&self) -> bool {
        self.as_they_are() && !self.add
    }

    pub fn only_adds(&self) -> bool {
        self.as_they_are() && self.add
    }

    fn as_they_are(&self) -> bool {
        self.bias.is_none() && self.residual.is_none() && self.activation.is_none()
    }
}

/// Writes the sums of a tile, `WIDTH` for each row.
///
/// # Safety
/// `y[to[p]..to[p] + width]` may be written, and the residual and the bias reach as far.
#[inline(always)]
pub unsafe fn finish(sums: &mut [[f32; WIDTH]], width: usize, y: *mut f32, to: &[usize], finish: &Finish) {
    for (z, &to) in sums.iter_mut().zip(to) {
        // SAFETY: the caller promises that these results may be written, and nobody else uses them.
        let y = unsafe { std::slice::from_raw_parts_mut(y.add(to), width) };
        let full: Option<&mut [f32; WIDTH]> = if width == WIDTH { y.first_chunk_mut() } else { None };
        match full {
            Some(y) => whole(z, y, to, finish),
            None => partial(z, y, to, finish),
        }
    }
}

/// A row of full width: every loop has a constant length, and becomes a few vector instructions.
#[inline(always)]
fn whole(z: &mut [f32; WIDTH], y: &mut [f32; WIDTH], to: usize, finish: &Finish) {
    if let Some(bias) = finish.bias.and_then(<[f32]>::first_chunk::<WIDTH>) {
        for c in 0..WIDTH {
            z[c] += bias[c];
        }
    }
    if let Some(residual) = finish.residual.and_then(|r| r[to..].first_chunk::<WIDTH>()) {
        for c in 0..WIDTH {
            z[c] += residual[c];
        }
    }
    if let Some(activation) = finish.activation {
        each(activation, z);
    }
    if finish.add {
        for c in 0..WIDTH {
            y[c] += z[c];
        }
    } else {
        *y = *z;
    }
}

#[inline(always)]
fn partial(z: &mut [f32; WIDTH], y: &mut [f32], to: usize, finish: &Finish) {
    if let Some(bias) = finish.bias {
        z.iter_mut().zip(&bias[..y.len()]).for_each(|(z, b)| *z += b);
    }
    if let Some(residual) = finish.residual {
        z.iter_mut().zip(&residual[to..][..y.len()]).for_each(|(z, r)| *z += r);
    }
    if let Some(activation) = finish.activation {
        each(activation, z);
    }
    if finish.add {
        y.iter_mut().zip(z).for_each(|(y, z)| *y += *z);
    } else {
        y.copy_from_slice(&z[..y.len()]);
    }
}
