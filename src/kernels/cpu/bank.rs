//! A filter bank over images, as three matrix products: what `conv2d` and `conv_transpose2d` are made of.
//!
//! With `X` the unfolded images (`[channels · taps, positions]` for each group) and `W` the filters (`[rows, channels · taps]`):
//! `Y = W · X` filters, `fold(Wᵀ · Y)` stamps, and `Y · Xᵀ` is the gradient of the filters. The images are unfolded some rows
//! of positions at a time, so that the unfolded part stays in a core's cache.

use super::gemm::{Matrix, Target, Threads, product_by};
use super::parallel::{pieces, scratch};
use super::unfold::Sliding;
use super::wide::sum;
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

/// Columns that a matrix of small images should have, and numbers it may have.
const WIDTH: usize = 256;
const MOST: usize = 1 << 20;

/// Parts that the filters are cut into for the threads, where there is one image.
const SHARES: usize = 4;

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

    /// Images whose unfolded columns share one matrix: more than one where images are so small that their own matrices would
    /// be narrow, and not so many that threads are left without any.
    fn together(&self) -> usize {
        let narrow = WIDTH / self.sliding.places().max(1);
        let room = MOST / (self.taps() * self.sliding.places()).max(1);
        narrow.min(room).min(self.batch.div_ceil(4)).max(1)
    }

    /// The rows of positions of `images` images, in blocks.
    fn blocks(&self, images: usize) -> impl Iterator<Item = Range<usize>> {
        let [oh, ow] = self.sliding.positions;
        let whole = images > 1 || self.sliding.is_identity();
        let step = if whole { oh } else { (UNFOLDED / (self.taps() * ow)).clamp(1, oh) };
        // Blocks of one size, rather than a small one at the end.
        let step = oh.div_ceil(oh.div_ceil(step));
        (0..oh).step_by(step).map(move |start| start..(start + step).min(oh))
    }

    /// Calls `f` with each block of positions of some images, unfolded: its first position, its width, and the matrix.
    fn unfolded(&self, x: &[f32], g: usize, mut f: impl FnMut(usize, usize, Matrix)) {
        let (image, ow) = (self.sizes().0, self.sliding.positions[1]);
        let images = x.len() / image;
        for block in self.blocks(images) {
            let width = block.len() * ow;
            if self.sliding.is_identity() && images == 1 {
                f(0, width, Matrix::new(group(x, g, self.groups), self.taps(), width));
                continue;
            }
            let all = images * width;
            scratch(self.taps() * all, |unfolded| {
                if self.batch == 1 {
                    let (x, size) = (group(x, g, self.groups), self.sliding.taps() * width);
                    pieces(unfolded, size, size, |c, piece| {
                        self.sliding.unfold(&x[c * self.sliding.pixels()..], 1, block.clone(), piece, width);
                    });
                } else {
                    for (i, x) in x.chunks_exact(image).enumerate() {
                        let x = group(x, g, self.groups);
                        self.sliding.unfold(x, self.channels, block.clone(), &mut unfolded[i * width..], all);
                    }
                }
                f(block.start * ow, all, Matrix::new(unfolded, self.taps(), all));
            });
        }
    }

    /// Calls `f` with the results of group `g` as one matrix: positions from `first` on, of one image where they are, of
    /// several images side by side.
    fn results<R>(&self, y: &[f32], g: usize, first: usize, width: usize, f: impl FnOnce(Matrix) -> R) -> R {
        let (result, places) = (self.sizes().1, self.sliding.places());
        if y.len() == result {
            return f(Matrix::strided(&group(y, g, self.groups)[first..], self.rows, width, places));
        }
        scratch(self.rows * width, |joined| {
            for (i, y) in y.chunks_exact(result).enumerate() {
                for (r, row) in group(y, g, self.groups).chunks_exact(places).enumerate() {
                    joined[r * width + i * places..][..places].copy_from_slice(row);
                }
            }
            f(Matrix::new(joined, self.rows, width))
        })
    }

    /// [`Bank::filter`] of one image: all threads share its positions, or the filters where these are the most.
    fn filter_one(&self, w: &[f32], x: &[f32], y: &mut [f32], add: bool) {
        let (places, taps) = (self.sliding.places(), self.taps());
        let [oh, ow] = self.sliding.positions;
        for (g, y) in y.chunks_exact_mut(self.rows * places).enumerate() {
            let w = group(w, g, self.groups);
            if self.sliding.is_identity() || 4 * self.rows > places {
                let some = self.rows.div_ceil(SHARES);
                self.unfolded(x, g, |first, width, x| {
                    pieces(y, some * places, some * taps * width, |i, y| {
                        let rows = y.len() / places;
                        let w = Matrix::new(&w[i * some * taps..][..rows * taps], rows, taps);
                        product_by(Threads::One, w, x, 1.0, Target { data: &mut y[first..], stride: places, add });
                    });
                });
                continue;
            }
            let step = oh.div_ceil(2 * SHARES).min(UNFOLDED / (taps * ow)).max(1);
            let (w, x, size) = (Matrix::new(w, self.rows, taps), group(x, g, self.groups), self.rows * step * ow);
            let block = |i: usize| i * step..((i + 1) * step).min(oh);
            scratch(oh.div_ceil(step) * size, |joined| {
                pieces(joined, size, size * taps, |i, y| {
                    let width = block(i).len() * ow;
                    scratch(taps * width, |unfolded| {
                        self.sliding.unfold(x, self.channels, block(i), unfolded, width);
                        product_by(
                            Threads::One,
                            w,
                            Matrix::new(unfolded, taps, width),
                            1.0,
                            Target { data: y, stride: width, add: false },
                        );
                    });
                });
                pieces(y, places, places, |r, y| {
                    for (i, y) in y.chunks_mut(step * ow).enumerate() {
                        let row = &joined[i * size + r * y.len()..][..y.len()];
                        y.iter_mut().zip(row).for_each(|(y, s)| *y = if add { *y + s } else { *s });
                    }
                });
            });
        }
    }

    /// `y = W · X`, or `y += W · X`.
    pub fn filter(&self, w: &[f32], x: &[f32], y: &mut [f32], add: bool) {
        if self.batch == 1 {
            return self.filter_one(w, x, y, add);
        }
        let ((image, result), places, together) = (self.sizes(), self.sliding.places(), self.together());
        pieces(y, together * result, together * self.work(), |n, y| {
            let images = y.len() / result;
            let x = &x[n * together * image..][..images * image];
            for g in 0..self.groups {
                let w = Matrix::new(group(w, g, self.groups), self.rows, self.taps());
                let own = g * self.rows * places;
                self.unfolded(x, g, |first, width, x| {
                    if images == 1 {
                        let y = &mut y[own..][..self.rows * places][first..];
                        return product_by(self.threads(), w, x, 1.0, Target { data: y, stride: places, add });
                    }
                    scratch(self.rows * width, |joined| {
                        product_by(self.threads(), w, x, 1.0, Target { data: joined, stride: width, add: false });
                        for (i, y) in y.chunks_exact_mut(result).enumerate() {
                            for (r, y) in y[own..].chunks_exact_mut(places).take(self.rows).enumerate() {
                                let row = &joined[r * width + i * places..][..places];
                                y.iter_mut().zip(row).for_each(|(y, s)| *y = if add { *y + s } else { *s });
                            }
                        }
                    });
                });
            }
        });
    }

    /// `x = fold(Wᵀ · Y)`, or `x += fold(Wᵀ · Y)`.
    pub fn stamp(&self, w: &[f32], y: &[f32], x: &mut [f32], add: bool) {
        let ((image, result), ow, together) = (self.sizes(), self.sliding.positions[1], self.together());
        let size = self.channels * self.sliding.pixels();
        pieces(x, together * image, together * self.work(), |n, x| {
            let images = x.len() / image;
            let identity = self.sliding.is_identity() && images == 1;
            if !add && !identity {
                x.fill(0.0);
            }
            let y = &y[n * together * result..][..images * result];
            for g in 0..self.groups {
                let w = Matrix::new(group(w, g, self.groups), self.rows, self.taps()).t();
                for block in self.blocks(images) {
                    let width = block.len() * ow;
                    let all = images * width;
                    self.results(y, g, block.start * ow, all, |y| {
                        if identity {
                            return product_by(
                                self.threads(),
                                w,
                                y,
                                1.0,
                                Target { data: &mut x[g * size..][..size], stride: width, add },
                            );
                        }
                        scratch(self.taps() * all, |unfolded| {
                            product_by(self.threads(), w, y, 1.0, Target { data: unfolded, stride: all, add: false });
                            for (i, x) in x.chunks_exact_mut(image).enumerate() {
                                let x = &mut x[g * size..][..size];
                                self.sliding.fold(&unfolded[i * width..], all, self.channels, block.clone(), x);
                            }
                        });
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
        let (len, each) = (dw.len(), self.batch.div_ceil(parts));
        scratch(parts * len, |partial| {
            pieces(partial, len, each * self.work(), |part, sum| {
                let images = (part * each).min(self.batch)..((part + 1) * each).min(self.batch);
                self.gradient_of(images, Threads::One, y, x, sum, false);
            });
            for (part, partial) in partial.chunks_exact(len).enumerate() {
                if part > 0 || add {
                    dw.iter_mut().zip(partial).for_each(|(g, p)| *g += p);
                } else {
                    dw.copy_from_slice(partial);
                }
            }
        });
    }

    /// The part of [`Bank::gradient`] that some images contribute.
    fn gradient_of(&self, images: Range<usize>, by: Threads, y: &[f32], x: &[f32], dw: &mut [f32], add: bool) {
        let ((image, result), together) = (self.sizes(), self.together());
        if !add {
            dw.fill(0.0);
        }
        let size = self.rows * self.taps();
        for start in images.clone().step_by(together) {
            let end = (start + together).min(images.end);
            let (x, y) = (&x[start * image..end * image], &y[start * result..end * result]);
            for (g, dw) in dw.chunks_exact_mut(size).enumerate() {
                self.unfolded(x, g, |first, width, x| {
                    self.results(y, g, first, width, |y| {
                        product_by(by, y, x.t(), 1.0, Target { data: dw, stride: self.taps(), add: true })
                    });
                });
            }
        }
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
        let total = planes.map(sum).sum::<f32>();
        db[0] = if add { db[0] + total } else { total };
    });
}
