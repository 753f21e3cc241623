//! Tiles against their formula.

use super::*;
use crate::ops::epilogue::Activation;

fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 37 + seed * 11) % 23) as f32 / 8.0 - 1.25).collect()
}

/// Every table of this machine, every number of rows, widths around the registers' own, runs, steps and ends.
#[test]
fn every_table_computes_the_formula() {
    for isa in all().iter().filter(|isa| (isa.available)()) {
        for rows in 1..=ROWS {
            for (width, runs, len, x_step, w_row) in [
                (32, 1, 5, 1, 32),
                (32, 3, 7, 1, 40),
                (17, 2, 3, 2, 33),
                (16, 1, 4, 1, 32),
                (5, 2, 6, 3, 9),
                (1, 1, 1, 1, 1),
                (31, 1, 0, 1, 32),
            ] {
                let (x_run, w_run) = (len * x_step + 1, len * w_row + 2);
                let (repeats, x_repeat, w_repeat) = (1 + rows % 3, runs * x_run + 2, runs * w_run + 1);
                let from: Vec<usize> = (0..rows).map(|p| (p * 5) % 31).collect();
                let to: Vec<usize> = (0..rows).map(|p| (rows - 1 - p) * (width + 3)).collect();
                // Exactly as long as the formula reaches, so that a read behind the end is asserted.
                let x = numbers(30 + (repeats - 1) * x_repeat + (runs - 1) * x_run + len * x_step + 1, 1);
                let w = numbers((repeats - 1) * w_repeat + (runs - 1) * w_run + len.max(1) * w_row - w_row + width, 2);
                let (bias, residual) = (numbers(width, 3), numbers(rows * (width + 3), 4));
                for (finish, activation) in [
                    (Finish::default(), None),
                    (Finish { bias: Some(&bias), activation: Some(Activation::Relu), ..Finish::default() }, Some(true)),
                    (Finish { bias: Some(&bias), residual: Some(&residual), add: true, ..Finish::default() }, None),
                ] {
                    let once = Tile::rows(&x, &from, len, &w, width);
                    let tile = Tile { x_run, x_step, runs, w_run, w_row, repeats, x_repeat, w_repeat, ..once };
                    let mut y = vec![0.5; rows * (width + 3)];
                    // SAFETY: `y` is this test's own, its rows lie apart, and all offsets lie in their slices.
                    unsafe { (isa.tile)(&tile, y.as_mut_ptr(), &to, &finish) };
                    let mut want = vec![0.5; y.len()];
                    for p in 0..rows {
                        for c in 0..width {
                            let mut z = 0.0f32;
                            for k in 0..repeats * runs * len {
                                let (n, r, l) = (k / len / runs, k / len % runs, k % len);
                                let w = w[n * w_repeat + r * w_run + l * w_row + c];
                                z += x[from[p] + n * x_repeat + r * x_run + l * x_step] * w;
                            }
                            z += finish.bias.map_or(0.0, |b| b[c]) + finish.residual.map_or(0.0, |r| r[to[p] + c]);
                            z = if activation.is_some() { z.max(0.0) } else { z };
                            want[to[p] + c] = if finish.add { 0.5 + z } else { z };
                        }
                    }
                    // The numbers are eighths, so sums are exact.
                    assert_eq!(y, want, "{}: {rows} rows of {width}, {runs} runs of {len}", isa.name);
                }
            }
        }
    }
}

#[test]
fn packing_fills_the_last_panel_with_zeros() {
    let mut panels = vec![f32::NAN; packed_len(33, 2)];
    pack(&mut panels, 33, 2, |k, c| (100 * k + c) as f32);
    assert_eq!((panels[0], panels[31], panels[32], panels[64], panels[96]), (0.0, 31.0, 100.0, 32.0, 132.0));
    assert!(panels[65..96].iter().chain(&panels[97..]).all(|w| *w == 0.0));
}
