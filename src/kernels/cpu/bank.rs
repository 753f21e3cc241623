//! A filter bank over images, as three matrix products: what `conv2d` and `conv_transpose2d` are made of.
//!
//! With `X` the unfolded images (`[channels · taps, positions]` for each group) and `W` the filters (`[rows, channels · taps]`):
//! `Y = W · X` filters, `fold(Wᵀ · Y)` stamps, and `Y · Xᵀ` is the gradient of the filters. The images are unfolded some rows
//! of positions at a time, so that the unfolded part stays in a core's cache.

use super::gemm::{Matrix, Threads, product_by};
use super::parallel::{pieces, scratch};
use super::unfold::Sliding;
use std::ops::Range;

/// Sizes of a filter bank; rows and channels are those of one group.
pub struct Bank {
    pub batch: usize,
    pub groups: usize,
    pub rows: usize,
    pub channels: usize,
    pub sliding: Sliding,
}

/// Numbers of an unfolded image that exist at one time.
const UNFOLDED: usize = 1 << 18;

/// Images are summed in at most this many parts, which are then added up in their order.
const PARTS: usize = 8;

/// Numbers in all those parts together.
const PARTIAL: usize = 1 << 20;

impl Bank {
    fn taps(&self) -> usize {
        self.channels * self.sliding.taps()
    }

    /// Numbers of an image, and of a result.
    fn sizes(&self) -> (usize, usize) {
        (self.groups * self.channels * self.sliding.pixels(), self.groups * self.rows * self.sliding.places())
    }

    /// Multiplications for one image.
    fn work(&self) -> usize {
        self.groups * self.rows * self.taps() * self.sliding.places()
    }

    /// One image has all threads; of several, each has one.
    fn threads(&self) -> Threads {
        if self.batch > 1 { Threads::One } else { Threads::All }
    }

    /// The rows of positions, in blocks.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let [oh, ow] = self.sliding.positions;
        let whole = self.sliding.is_identity();
        let step = if whole { oh } else { (UNFOLDED / (self.taps() * ow)).clamp(1, oh) };
        // Blocks of one size, rather than a small one at the end.
        let step = oh.div_ceil(oh.div_ceil(step));
        (0..oh).step_by(step).map(move |start| start..(start + step).min(oh))
    }

    /// Calls `f` with each block of positions of a group's image, and the image unfolded there.
    fn unfolded(&self, x: &[f32], mut f: impl FnMut(Range<usize>, Matrix)) {
        let ow = self.sliding.positions[1];
        for block in self.blocks() {
            let (width, columns) = (block.len() * ow, block.start * ow..block.end * ow);
            if self.sliding.is_identity() {
                f(columns, Matrix::new(x, self.taps(), width));
                continue;
            }
            scratch(self.taps() * width, |unfolded| {
                let size = self.sliding.taps() * width;
                if self.batch == 1 {
                    pieces(unfolded, size, size, |c, piece| {
                        self.sliding.unfold(&x[c * self.sliding.pixels()..], block.clone(), piece);
                    });
                } else {
                    self.sliding.unfold(x, block.clone(), unfolded);
                }
                f(columns, Matrix::new(unfolded, self.taps(), width));
            });
        }
    }

    /// `y = W · X`, or `y += W · X`.
    pub fn filter(&self, w: &[f32], x: &[f32], y: &mut [f32], add: bool) {
        let ((image, result), places) = (self.sizes(), self.sliding.places());
        pieces(y, result, self.work(), |n, y| {
            let x = &x[n * image..][..image];
            for (g, y) in y.chunks_exact_mut(self.rows * places).enumerate() {
                let w = Matrix::new(self.of_group(w, g), self.rows, self.taps());
                self.unfolded(group(x, g, self.groups), |columns, x| {
                    product_by(self.threads(), w, x, &mut y[columns.start..], places, add);
                });
            }
        });
    }

    /// `x = fold(Wᵀ · Y)`, or `x += fold(Wᵀ · Y)`.
    pub fn stamp(&self, w: &[f32], y: &[f32], x: &mut [f32], add: bool) {
        let ((image, result), places, ow) = (self.sizes(), self.sliding.places(), self.sliding.positions[1]);
        let whole = self.sliding.is_identity();
        pieces(x, image, self.work(), |n, x| {
            if !add && !whole {
                x.fill(0.0);
            }
            let y = &y[n * result..][..result];
            for (g, x) in x.chunks_exact_mut(self.channels * self.sliding.pixels()).enumerate() {
                let w = Matrix::new(self.of_group(w, g), self.rows, self.taps()).t();
                let y = group(y, g, self.groups);
                for block in self.blocks() {
                    let width = block.len() * ow;
                    let y = Matrix::columns(&y[block.start * ow..], self.rows, width, places);
                    if whole {
                        product_by(self.threads(), w, y, x, width, add);
                        continue;
                    }
                    scratch(self.taps() * width, |unfolded| {
                        product_by(self.threads(), w, y, unfolded, width, false);
                        self.sliding.fold(unfolded, block, x);
                    });
                }
            }
        });
    }

    /// `dw = Y · Xᵀ` summed over the batch, or `dw += Y · Xᵀ`. The order of the sums depends on sizes alone.
    pub fn gradient(&self, y: &[f32], x: &[f32], dw: &mut [f32], add: bool) {
        let parts = (PARTIAL / dw.len().max(1)).clamp(1, PARTS).min(self.batch);
        if parts == 1 {
            return self.gradient_of(0..self.batch, Threads::All, y, x, dw, add);
        }
        scratch(parts * dw.len(), |partial| {
            let each = self.batch.div_ceil(parts);
            pieces(partial, dw.len(), each * self.work(), |part, sum| {
                let images = (part * each).min(self.batch)..((part + 1) * each).min(self.batch);
                self.gradient_of(images, Threads::One, y, x, sum, false);
            });
            let len = dw.len();
            for (i, g) in dw.iter_mut().enumerate() {
                let sum: f32 = partial[i..].iter().step_by(len).sum();
                *g = if add { *g + sum } else { sum };
            }
        });
    }

    /// The part of [`Bank::gradient`] that some images contribute.
    fn gradient_of(&self, images: Range<usize>, by: Threads, y: &[f32], x: &[f32], dw: &mut [f32], add: bool) {
        let ((image, result), places) = (self.sizes(), self.sliding.places());
        if !add {
            dw.fill(0.0);
        }
        for n in images {
            let (x, y) = (&x[n * image..][..image], &y[n * result..][..result]);
            for (g, dw) in dw.chunks_exact_mut(self.rows * self.taps()).enumerate() {
                let y = group(y, g, self.groups);
                self.unfolded(group(x, g, self.groups), |columns, x| {
                    let y = Matrix::columns(&y[columns.start..], self.rows, columns.len(), places);
                    product_by(by, y, x.t(), dw, self.taps(), true);
                });
            }
        }
    }

    fn of_group<'a>(&self, w: &'a [f32], g: usize) -> &'a [f32] {
        group(w, g, self.groups)
    }
}

/// The part of group `g` of something that the groups share evenly.
fn group(all: &[f32], g: usize, groups: usize) -> &[f32] {
    let size = all.len() / groups;
    &all[g * size..][..size]
}

/// Fills the channels of every image with their bias.
pub fn fill(bias: &[f32], places: usize, y: &mut [f32]) {
    let channels = bias.len();
    pieces(y, places, places, |plane, y| y.fill(bias[plane % channels]));
}

/// The gradient of a bias: for each channel, the sum over the batch and the image.
pub fn bias_gradient(dy: &[f32], places: usize, db: &mut [f32], add: bool) {
    let channels = db.len();
    pieces(db, 1, dy.len() / channels.max(1), |channel, db| {
        let planes = dy.chunks_exact(places).skip(channel).step_by(channels);
        let sum = planes.map(super::linear::sum).sum::<f32>();
        db[0] = if add { db[0] + sum } else { sum };
    });
}
