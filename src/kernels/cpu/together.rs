//! Several arrays of one length, element by element: pieces of all of them together, shared among threads.

use super::parallel::tasks;
use super::tile::Results;

/// Numbers in a piece: the pieces of some arrays fit in a core's cache.
const PIECE: usize = 1 << 14;

/// Operations that a number is taken for, so that arrays worth two pieces are worth two threads.
const WORK: usize = 8;

/// Calls `f` with where a piece starts and that piece of each array, for pieces that do not depend on the number of threads.
pub fn together<const N: usize>(arrays: [&mut [f32]; N], f: impl Fn(usize, [&mut [f32]; N]) + Sync) {
    let len = arrays.first().map_or(0, |a| a.len());
    assert!(arrays.iter().all(|a| a.len() == len), "bug: arrays of different lengths");
    if len <= PIECE {
        return f(0, arrays);
    }
    let all = arrays.map(Results::new);
    tasks(len.div_ceil(PIECE), PIECE * WORK, |i| {
        let start = i * PIECE;
        // SAFETY: each array is borrowed exclusively, and every task has its own piece of it.
        f(start, all.map(|array| unsafe { array.part(start, PIECE.min(len - start)) }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_met_once() {
        for len in [0, 1, PIECE, PIECE + 1, 3 * PIECE + 5] {
            let (mut a, mut b) = (vec![1.0; len], vec![2.0; len]);
            together([&mut a, &mut b], |start, [a, b]| {
                a.iter_mut().zip(b).enumerate().for_each(|(i, (a, b))| {
                    *a += *b;
                    *b = (start + i) as f32;
                });
            });
            assert!(a.iter().all(|a| *a == 3.0) && (0..len).all(|i| b[i] == i as f32), "{len}");
        }
    }
}
