//! What the machine can do at most: products per second and bytes per second, measured on the spot with all threads.
//!
//! The probe for products is one tile over numbers that stay in the nearest cache, which no layer can outdo. The probe for bytes
//! copies an array that no cache holds. Both give the best of several short rounds, and take about a quarter of a second.

use super::parallel;
use super::tile::{Finish, ROWS, Results, Tile, WIDTH};
use std::time::Instant;

/// Terms of a sum that are read before they come again.
const DEPTH: usize = 128;
/// How often they come in one tile.
const RUNS: usize = 64;
/// Tiles of a task, a few milliseconds.
const TILES: usize = 128;
/// Numbers that are copied, 64 MiB of them.
const LONG: usize = 1 << 24;
const ROUNDS: usize = 5;

/// What a machine can do in a second, on all threads.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// Floating-point operations; a fused multiplication counts as two.
    pub flops: f64,
    /// Bytes read and written.
    pub bytes: f64,
}

/// Measures this machine.
pub fn measure() -> Peak {
    Peak { flops: products(), bytes: copies() }
}

fn products() -> f64 {
    let tasks = parallel::threads();
    let work = TILES * RUNS * DEPTH * ROWS * WIDTH;
    let once = || parallel::tasks(tasks, work, |_| parallel::scratch(DEPTH * (ROWS + WIDTH) + ROWS * WIDTH, tiles));
    2.0 * (tasks * work) as f64 / least(once)
}

/// One task: the same tile again and again. Its factors are 0, so that no sum leaves the numbers.
fn tiles(memory: &mut [f32]) {
    memory.fill(0.0);
    let (x, rest) = memory.split_at_mut(DEPTH * ROWS);
    let (w, y) = rest.split_at_mut(DEPTH * WIDTH);
    let from: [usize; ROWS] = std::array::from_fn(|row| row * DEPTH);
    let to: [usize; ROWS] = std::array::from_fn(|row| row * WIDTH);
    let tile = Tile { runs: RUNS, ..Tile::rows(x, &from, DEPTH, w, WIDTH) };
    for _ in 0..TILES {
        // SAFETY: the results are this task's own, and its rows lie `WIDTH` apart.
        unsafe { tile.run(Results::new(y), &to, &Finish::default()) };
    }
}

fn copies() -> f64 {
    let (from, mut into) = (vec![1.0f32; LONG], vec![0.0f32; LONG]);
    let once = || {
        parallel::long(&mut into, |start, piece| piece.copy_from_slice(&from[start..start + piece.len()]));
    };
    2.0 * 4.0 * LONG as f64 / least(once)
}

/// The least seconds of a few rounds.
fn least(mut once: impl FnMut()) -> f64 {
    let taken = |_| {
        let began = Instant::now();
        once();
        began.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(taken).fold(f64::INFINITY, f64::min).max(f64::MIN_POSITIVE)
}
