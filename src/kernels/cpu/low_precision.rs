//! `linear` and dense `conv2d` in low precision; the meaning stands in [`crate::ops::precision`].
//!
//! In come weights, packed or not, and f32 numbers; out go finished f32 numbers. The input is rounded into a frame: images with their
//! padding around and their channels last, so that the samples of a window's row stand in a row. A linear layer is a convolution over
//! images of one pixel. Packed weights are panels of words, see [`super::tile::Rounded`].

use super::Input;
use super::bank::Bank;
use super::math::vectorised;
use super::parallel::{pieces, scratch, tasks};
use super::tile::{Finish, HEAD, ROWS, Results, Rounded, RoundedFn, WIDTH, chosen};
use super::unfold::Sliding;
use crate::ops::precision::{Filter, Precision, Steps, bf16_bits};
use crate::ops::window::Window;
use pulp::bytemuck::cast_slice_mut;

/// Multiplications of a task.
const TASK: usize = 1 << 21;

/// Added to a number below 2²² it rounds it to an integer, halves to even, which then stands in the lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// How numbers fill words.
#[derive(Clone, Copy)]
enum Words {
    Bf16,
    Int8(Steps),
}

/// A filter bank in low precision.
pub struct Layer {
    bank: Bank,
    words: Words,
    /// The kernels in use.
    tile: RoundedFn,
}

/// The bank that a linear layer is: `rows` vectors, of `width` numbers in and `out` out.
pub fn vectors(rows: usize, width: usize, out: usize) -> Bank {
    let window = Window { kernel: [1; 2], stride: [1; 2], padding: [0; 4], dilation: [1; 2] };
    Bank { batch: rows, groups: 1, rows: out, channels: width, sliding: Sliding::new(window, [1; 2]) }
}

impl Layer {
    pub fn new(precision: Precision, bank: Bank) -> Self {
        let (words, tile) = match precision {
            Precision::Bf16 => (Words::Bf16, chosen().bf16),
            Precision::Int8 { low, high } => (Words::Int8(Steps::of(low, high)), chosen().int8),
            Precision::F32 => unreachable!("f32 has kernels of its own"),
        };
        Self { bank, words, tile }
    }

    /// `y = f(w ⋆ x + …)`.
    pub fn forward(&self, w: Input, x: &[f32], y: &mut [f32], finish: &Finish) {
        match w {
            Input::Prepared(packed) => self.run(packed, x, y, finish),
            w => scratch(self.packed_len(), |packed| {
                self.pack(w.numbers(), packed);
                self.run(packed, x, y, finish);
            }),
        }
    }

    /// Bytes of a number.
    fn size(&self) -> usize {
        if let Words::Bf16 = self.words { 2 } else { 1 }
    }

    fn head(&self) -> usize {
        if let Words::Bf16 = self.words { 0 } else { HEAD }
    }

    /// Repeats, runs, and numbers of a run. A row of the window is one run, unless its samples stand apart.
    fn runs(&self) -> [usize; 3] {
        let Window { kernel: [down, across], dilation, .. } = self.bank.sliding.window;
        let apart = if dilation[1] == 1 { 1 } else { across };
        [apart, down, across / apart * self.bank.channels]
    }

    /// Words of a run.
    fn run_words(&self) -> usize {
        (self.runs()[2] * self.size()).div_ceil(4)
    }

    fn panel_len(&self) -> usize {
        let [repeats, runs, _] = self.runs();
        self.head() + repeats * runs * self.run_words() * WIDTH
    }

    /// Numbers of the weights as panels.
    pub fn packed_len(&self) -> usize {
        self.bank.rows.div_ceil(WIDTH) * self.panel_len()
    }

    /// Rows of an image in the frame, and words of one.
    fn frame(&self) -> [usize; 2] {
        let Sliding { window, image: [height, width], .. } = self.bank.sliding;
        let [top, bottom, left, right] = window.padding;
        let bytes = (width + left + right) * self.bank.channels * self.size();
        [height + top + bottom, bytes.div_ceil(4)]
    }

    /// The weights as panels.
    pub fn pack(&self, w: &[f32], packed: &mut [f32]) {
        let Bank { channels, rows, sliding, .. } = self.bank;
        let (taps, [_, across]) = (sliding.taps(), sliding.window.kernel);
        let ([_, runs, len], words) = (self.runs(), self.run_words());
        let depth = channels * taps;
        pieces(packed, self.panel_len(), 4 * self.panel_len(), |panel, packed| {
            packed.fill(0.0);
            let (head, panels) = packed.split_at_mut(self.head());
            for c in 0..WIDTH.min(rows - panel * WIDTH) {
                let own = &w[(panel * WIDTH + c) * depth..][..depth];
                let (filter, mut sum) = (Filter::of(own), 0);
                for (i, row) in panels.chunks_exact_mut(WIDTH).enumerate() {
                    let (repeat, run) = (i / words / runs, i / words % runs);
                    let number = |l: usize| match l < len {
                        true => own[l % channels * taps + run * across + repeat + l / channels],
                        false => 0.0,
                    };
                    row[c] = f32::from_bits(match self.words {
                        Words::Bf16 => {
                            let half = |l: usize| u32::from(bf16_bits(number(i % words * 2 + l)));
                            half(0) | half(1) << 16
                        }
                        Words::Int8(_) => {
                            let steps = [0, 1, 2, 3].map(|l| filter.step(number(i % words * 4 + l)) as i8);
                            sum += steps.iter().map(|p| i32::from(*p)).sum::<i32>();
                            u32::from_le_bytes(steps.map(|p| p as u8))
                        }
                    });
                }
                if let Words::Int8(steps) = self.words {
                    head[c] = steps.size * filter.size;
                    head[WIDTH + c] = f32::from_bits((steps.zero as i32 * sum) as u32);
                }
            }
        });
    }

    fn run(&self, packed: &[f32], x: &[f32], y: &mut [f32], finish: &Finish) {
        if y.is_empty() {
            return;
        }
        let [height, words] = self.frame();
        // The last run may read a word that it has only a part of.
        scratch(self.bank.batch * height * words + 1, |frame| {
            let (rows, behind) = frame.split_at_mut(self.bank.batch * height * words);
            behind.fill(0.0);
            self.fill(x, rows);
            self.multiply(packed, frame, y, finish);
        });
    }

    /// Rounds the images into the frame.
    fn fill(&self, x: &[f32], frame: &mut [f32]) {
        let Sliding { window, image: [height, width], .. } = self.bank.sliding;
        let ([top, _, left, _], [padded, words]) = (window.padding, self.frame());
        let (before, len) = (left * self.bank.channels, width * self.bank.channels);
        pieces(frame, words, 4 * words, |row, words| {
            let (image, down) = (row / padded, (row % padded).wrapping_sub(top));
            let x = if down < height { &x[(image * height + down) * len..][..len] } else { &[] };
            vectorised(
                #[inline(always)]
                || match self.words {
                    Words::Bf16 => {
                        let halves: &mut [u16] = cast_slice_mut(words);
                        halves.fill(0);
                        halves[before..].iter_mut().zip(x).for_each(|(half, x)| *half = bf16_bits(*x));
                    }
                    Words::Int8(Steps { per_unit, zero, .. }) => {
                        let (quarters, low, high): (&mut [u8], _, _) = (cast_slice_mut(words), -zero, 255.0 - zero);
                        quarters.fill(zero as u8);
                        for (quarter, x) in quarters[before..].iter_mut().zip(x) {
                            // Comparisons with NaN are false, which therefore becomes the lower end.
                            let step = x * per_unit;
                            let step = if step > low { step } else { low };
                            let step = if step < high { step } else { high };
                            *quarter = ((step + ROUNDER).to_bits() as u8).wrapping_add(zero as u8);
                        }
                    }
                },
            );
        });
    }

    /// The tiles: a task is some strips of positions and one panel.
    fn multiply(&self, packed: &[f32], frame: &[f32], y: &mut [f32], finish: &Finish) {
        let Bank { batch, rows: out, channels, sliding, .. } = self.bank;
        let (places, [repeats, runs, _], [height, words]) = (sliding.places(), self.runs(), self.frame());
        let Window { stride, dilation, .. } = sliding.window;
        let (all, pixel, row) = (batch * places, channels * self.size(), 4 * words);
        let (strips, panels) = (all.div_ceil(ROWS), out.div_ceil(WIDTH));
        let strip_work = ROWS * WIDTH * channels * sliding.taps();
        let together = (TASK / strip_work).clamp(1, strips);
        let chunks = strips.div_ceil(together);
        let y = Results::new(y);
        tasks(chunks * panels, together * strip_work / 4, |task| {
            let (panel, chunk) = (task / chunks, task % chunks);
            let (w, first) = (&packed[panel * self.panel_len()..][..self.panel_len()], panel * WIDTH);
            let width = WIDTH.min(out - first);
            let finish = Finish { bias: finish.bias.map(|b| &b[first..first + width]), ..*finish };
            let (mut from, mut to) = ([0; ROWS], [0; ROWS]);
            for strip in chunk * together..strips.min((chunk + 1) * together) {
                let count = ROWS.min(all - strip * ROWS);
                for i in 0..count {
                    let (image, place) = ((strip * ROWS + i) / places, (strip * ROWS + i) % places);
                    let (down, across) = (place / sliding.positions[1], place % sliding.positions[1]);
                    from[i] = (image * height + down * stride[0]) * row + across * stride[1] * pixel;
                    to[i] = (strip * ROWS + i) * out + first;
                }
                let (x_repeat, x_run, words) = (dilation[1] * pixel, dilation[0] * row, self.run_words());
                let tile = Rounded { x: frame, from: &from[..count], repeats, x_repeat, runs, x_run, words, w, width };
                // SAFETY: tasks differ in their panel or in their strips, so no two write the same number; the function is that of
                // the kernels in use, and of the precision that the panels are packed for.
                unsafe { tile.run(self.tile, y, &to[..count], &finish) };
            }
        });
    }
}
