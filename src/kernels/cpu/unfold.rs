//! Images unfolded to matrices, so that a convolution is a matrix product, and folded back.
//!
//! The unfolded image has a row for each channel and each sample of the window, and a column for each position of the window.

use crate::ops::window::Window;
use std::ops::Range;

/// A window over images of one size, and how often it fits, down and across.
#[derive(Clone, Copy, Debug)]
pub struct Sliding {
    pub window: Window,
    pub image: [usize; 2],
    pub positions: [usize; 2],
}

impl Sliding {
    pub fn new(window: Window, image: [usize; 2]) -> Self {
        Self { window, image, positions: window.output(image) }
    }

    /// The positions along an axis whose sample `k` lies in the image, and the pixel that position 0 reads, perhaps outside.
    pub fn reach(&self, axis: usize, k: usize) -> (Range<usize>, isize) {
        let (stride, size) = (self.window.stride[axis] as isize, self.image[axis] as isize);
        let offset = (k * self.window.dilation[axis]) as isize - self.window.padding[2 * axis] as isize;
        let up = |n: isize| if n <= 0 { 0 } else { (n + stride - 1) / stride };
        let end = up(size - offset).min(self.positions[axis] as isize);
        let start = up(-offset).min(end);
        (start as usize..end as usize, offset)
    }

    pub fn taps(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }

    pub fn pixels(&self) -> usize {
        self.image[0] * self.image[1]
    }

    pub fn places(&self) -> usize {
        self.positions[0] * self.positions[1]
    }

    /// Whether the unfolded image is the image.
    pub fn is_identity(&self) -> bool {
        self.taps() == 1 && self.window.stride == [1, 1] && self.window.padding == [0; 4]
    }

    /// The rows of positions `rows` of some channels, unfolded to rows that begin `apart` from each other.
    pub fn unfold(&self, x: &[f32], channels: usize, rows: Range<usize>, unfolded: &mut [f32], apart: usize) {
        let (ow, stride) = (self.positions[1], self.window.stride[1]);
        self.each_line(rows, channels, apart, |line, source| match source {
            Some((pixel, columns)) => {
                let row = &mut unfolded[line..line + ow];
                row[..columns.start].fill(0.0);
                row[columns.end..].fill(0.0);
                let row = &mut row[columns];
                if stride == 1 {
                    row.copy_from_slice(&x[pixel..pixel + row.len()]);
                } else {
                    row.iter_mut().zip(x[pixel..].iter().step_by(stride)).for_each(|(u, x)| *u = *x);
                }
            }
            None => unfolded[line..line + ow].fill(0.0),
        });
    }

    /// Adds what the rows of positions `rows` hold to the pixels they were read from.
    pub fn fold(&self, unfolded: &[f32], apart: usize, channels: usize, rows: Range<usize>, x: &mut [f32]) {
        let stride = self.window.stride[1];
        self.each_line(rows, channels, apart, |line, source| {
            let Some((pixel, columns)) = source else { return };
            let row = &unfolded[line + columns.start..line + columns.end];
            if stride == 1 {
                x[pixel..pixel + row.len()].iter_mut().zip(row).for_each(|(x, u)| *x += u);
            } else {
                x[pixel..].iter_mut().step_by(stride).zip(row).for_each(|(x, u)| *x += u);
            }
        });
    }

    /// Calls `f` with the start of each line of the unfolded image: one row of positions of one sample of one channel; and
    /// with the pixel that its first position in the image reads, and the positions in the image, if there are any.
    fn each_line(
        &self,
        rows: Range<usize>,
        channels: usize,
        apart: usize,
        mut f: impl FnMut(usize, Option<(usize, Range<usize>)>),
    ) {
        let ([h, w], [_, ow], [kh, kw]) = (self.image, self.positions, self.window.kernel);
        let [sy, sx] = self.window.stride;
        let down: Vec<_> = (0..kh).map(|k| self.reach(0, k)).collect();
        let across: Vec<_> = (0..kw).map(|k| self.reach(1, k)).collect();
        for channel in 0..channels {
            for (ky, (valid, top)) in down.iter().enumerate() {
                for (kx, (columns, left)) in across.iter().enumerate() {
                    let start = ((channel * kh + ky) * kw + kx) * apart;
                    for (i, oy) in rows.clone().enumerate() {
                        let source = (valid.contains(&oy) && !columns.is_empty()).then(|| {
                            let y = (oy * sy).wrapping_add_signed(*top);
                            let x = (columns.start * sx).wrapping_add_signed(*left);
                            ((channel * h + y) * w + x, columns.clone())
                        });
                        f(start + i * ow, source);
                    }
                }
            }
        }
    }
}
