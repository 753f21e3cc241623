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

/// Rows that begin at any byte, several repeats and runs. The numbers are small integers, so sums of bf16 are exact too.
#[test]
fn every_table_computes_low_precision_alike() {
    use crate::ops::precision::bf16_bits;
    let [repeats, runs, words, x_repeat, x_run] = [2, 3, 5, 6, 26];
    let depth = repeats * runs * words;
    let words_of = |bytes: Vec<u8>| -> Vec<f32> {
        let word = |b: &[u8]| f32::from_bits(u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        bytes.chunks_exact(4).map(word).collect()
    };
    let integer = |i: usize| (i * 37 % 23) as i32 - 11;
    for rows in 1..=ROWS {
        for width in [32, 17, 1] {
            let to: Vec<usize> = (0..rows).map(|p| (rows - 1 - p) * (width + 3)).collect();
            let bias = numbers(width, 3);
            let finish = Finish { bias: Some(&bias), activation: Some(Activation::Relu), ..Finish::default() };
            let x_len = (2 * ROWS + x_repeat + 2 * x_run + 4 * words).next_multiple_of(4);
            for size in [2usize, 1] {
                let per_word = 4 / size;
                let halves = |n: i32| bf16_bits(n as f32).to_le_bytes();
                let x: Vec<i32> =
                    (0..x_len / size).map(|i| if size == 2 { integer(i) } else { integer(i) + 40 }).collect();
                let w: Vec<i32> = (0..depth * WIDTH * per_word).map(|i| integer(i * 5 + 1)).collect();
                let bytes = |n: &[i32]| -> Vec<u8> {
                    n.iter().flat_map(|n| if size == 2 { halves(*n).to_vec() } else { vec![*n as u8] }).collect()
                };
                let mut panel = words_of(bytes(&w));
                if size == 1 {
                    let zeros = (0..WIDTH).map(|c| f32::from_bits((c as i32 - 9) as u32));
                    panel = (0..WIDTH).map(|c| c as f32 / 4.0).chain(zeros).chain(panel).collect();
                }
                let x_words = words_of(bytes(&x));
                let from: Vec<usize> = (0..rows).map(|p| p * size).collect();
                let tile =
                    Rounded { x: &x_words, from: &from, repeats, x_repeat, runs, x_run, words, w: &panel, width };
                let mut want = vec![0.5; rows * (width + 3)];
                for (p, c) in (0..rows).flat_map(|p| (0..width).map(move |c| (p, c))) {
                    let mut sum = 0;
                    for (i, k) in (0..depth).flat_map(|i| (0..per_word).map(move |k| (i, k))) {
                        let (repeat, run, word) = (i / words / runs, i / words % runs, i % words);
                        let at = from[p] + repeat * x_repeat + run * x_run + 4 * word;
                        sum += x[at / size + k] * w[(i * WIDTH + c) * per_word + k];
                    }
                    let z = if size == 1 { (sum - (c as i32 - 9)) as f32 * (c as f32 / 4.0) } else { sum as f32 };
                    want[to[p] + c] = (z + bias[c]).max(0.0);
                }
                for isa in all().iter().filter(|isa| (isa.available)()) {
                    let mut y = vec![0.5; want.len()];
                    let by = if size == 2 { isa.bf16 } else { isa.int8 };
                    // SAFETY: `y` is this test's own and its rows lie apart; the table is one of this machine.
                    unsafe { tile.run(by, Results::new(&mut y), &to, &finish) };
                    assert_eq!(y, want, "{}: {rows} rows of {width} by {size} bytes", isa.name);
                }
            }
        }
    }
}
