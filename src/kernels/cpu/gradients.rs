//! Long gradients of several objectives over one parameter: their products with one another, and their weighted sum in place.
//!
//! Both read every number once. Sums are cut into blocks of fixed size and added up in their order, so the bits depend neither on the
//! number of threads nor on the machine.

use super::math::vectorised;
use super::parallel;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers of a block. Those of a few tasks stay in a cache while all pairs are multiplied.
const BLOCK: usize = 4096;

/// Sums that are added up side by side.
const LANES: usize = 16;

/// Room for the sums of blocks, kept from one call to the next.
#[derive(Debug, Default)]
pub struct Room(Vec<AtomicU64>);

/// Adds `Σ_k a_i[k] b_j[k]`, in 64 bits, to `sums[i · n + j]` for each of the `n` rows of `a` and of `b`; a row that is not there is
/// zeros. Where `b` is left out it is `a`.
pub fn products(a: &[Option<&[f32]>], b: Option<&[Option<&[f32]>]>, sums: &mut [f64], room: &mut Room) {
    let n = a.len();
    let len = a.iter().chain(b.unwrap_or_default()).flatten().map(|row| row.len()).next().unwrap_or(0);
    let blocks = len.div_ceil(BLOCK);
    if room.0.len() < blocks * n * n {
        room.0.resize_with(blocks * n * n, AtomicU64::default);
    }
    let parts = &room.0;
    parallel::tasks(blocks, BLOCK * n * (n + 1) / 2, |block| {
        let range = block * BLOCK..len.min((block + 1) * BLOCK);
        for i in 0..n {
            for j in if b.is_some() { 0 } else { i }..n {
                let product = match (a[i], b.unwrap_or(a)[j]) {
                    (Some(x), Some(y)) => vectorised(
                        #[inline(always)]
                        || dot(&x[range.clone()], &y[range.clone()]),
                    ),
                    _ => 0.0,
                };
                parts[(block * n + i) * n + j].store(product.to_bits(), Ordering::Relaxed);
            }
        }
    });
    for block in 0..blocks {
        for i in 0..n {
            for j in if b.is_some() { 0 } else { i }..n {
                let product = f64::from_bits(parts[(block * n + i) * n + j].load(Ordering::Relaxed));
                sums[i * n + j] += product;
                if b.is_none() && i != j {
                    sums[j * n + i] += product;
                }
            }
        }
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (mut x, mut y) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (x, y) in x.by_ref().zip(y.by_ref()) {
        for k in 0..LANES {
            lanes[k] += f64::from(x[k]) * f64::from(y[k]);
        }
    }
    let rest: f64 = x.remainder().iter().zip(y.remainder()).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    lanes.iter().sum::<f64>() + rest
}

/// Leaves `Σ factors_i · rows_i` in the first row that is there.
pub fn combine(rows: &mut [Option<&mut [f32]>], factors: &[f64]) {
    let Some(first) = rows.iter().position(Option::is_some) else { return };
    let (into, others) = rows[first..].split_first_mut().expect("there is one");
    let own = factors[first] as f32;
    let others: SmallVec<[(&[f32], f32); 16]> = others
        .iter()
        .zip(&factors[first + 1..])
        .filter_map(|(row, factor)| Some((&**row.as_ref()?, *factor as f32)))
        .collect();
    let Some(into) = into else { return };
    parallel::long(into, |start, piece| {
        vectorised(
            #[inline(always)]
            || {
                for x in piece.iter_mut() {
                    *x *= own;
                }
                for (row, factor) in &others {
                    for (x, y) in piece.iter_mut().zip(&row[start..]) {
                        *x += factor * y;
                    }
                }
            },
        );
    });
}
