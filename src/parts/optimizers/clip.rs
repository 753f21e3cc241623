//! Gradient clipping: bounds on gradients before the optimizer sees them.
//!
//! Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013), in the form of
//! `torch.nn.utils.clip_grad_norm_` and `clip_grad_value_`.

use crate::kernels::cpu::math::vectorised;
use crate::kernels::cpu::parallel::tasks;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sums run in this many lanes, always the same ones, so the sum is fast and its bits do not depend on the machine.
const LANES: usize = 8;

/// A longer gradient is summed in parts that threads share; at most so many, added in their order.
const PARTS: usize = 32;

/// The least numbers of a part.
const PART: usize = 1 << 16;

/// The Euclidean norm of all gradients together, summed in 64 bits in the order given.
pub fn norm<'a>(gradients: impl IntoIterator<Item = &'a [f32]>) -> f64 {
    gradients.into_iter().map(sum_of_squares).sum::<f64>().sqrt()
}

/// The sum of the squares of a gradient.
pub fn sum_of_squares(gradient: &[f32]) -> f64 {
    let part = gradient.len().div_ceil(PARTS).max(PART);
    if gradient.len() <= part {
        return sum_of_part(gradient);
    }
    let sums = [const { AtomicU64::new(0) }; PARTS];
    tasks(gradient.len().div_ceil(part), part, |i| {
        let end = gradient.len().min((i + 1) * part);
        sums[i].store(sum_of_part(&gradient[i * part..end]).to_bits(), Ordering::Relaxed);
    });
    sums.into_iter().map(|sum| f64::from_bits(sum.into_inner())).sum()
}

fn sum_of_part(gradient: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (chunks, tail) = gradient.as_chunks::<LANES>();
    vectorised(
        #[inline(always)]
        || {
            for chunk in chunks {
                for i in 0..LANES {
                    lanes[i] += f64::from(chunk[i]) * f64::from(chunk[i]);
                }
            }
        },
    );
    lanes.iter_mut().zip(tail).for_each(|(lane, &g)| *lane += f64::from(g) * f64::from(g));
    lanes.iter().sum()
}

/// What gradients of that norm are multiplied by so that it is at most `max`: `max / (norm + 1e-6)` where that is below 1.
pub fn scale(norm: f64, max: f64) -> f64 {
    let scale = max / (norm + 1e-6);
    if scale >= 1.0 { 1.0 } else { scale }
}

/// Scales all gradients by `max / (norm + 1e-6)` where that is below 1, and returns the norm before.
///
/// As in PyTorch a norm that is not finite is not hidden: NaN spreads to every gradient, and an infinite norm leaves 0, with
/// NaN where the infinities were.
pub fn clip_norm(gradients: &mut [&mut [f32]], max: f64) -> f64 {
    let norm = norm(gradients.iter().map(|g| &**g));
    let scale = scale(norm, max);
    if scale != 1.0 {
        gradients.iter_mut().flat_map(|g| g.iter_mut()).for_each(|g| *g *= scale as f32);
    }
    norm
}

/// Bounds every element to `-max ..= max`, for a `max` of at least 0. NaN stays.
pub fn clip_value(gradients: &mut [&mut [f32]], max: f64) {
    let max = max.abs() as f32;
    gradients.iter_mut().flat_map(|g| g.iter_mut()).for_each(|g| *g = g.clamp(-max, max));
}
