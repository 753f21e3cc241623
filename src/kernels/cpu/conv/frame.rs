//! Images as tiles read them: with zeros around them, and the channels of one group in a row.

use std::ops::Range;

/// The part of an image that tiles read, and how it is stored. Columns are stored by their remainder of `fold`, so that taps that
/// far apart are neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Rows and columns of the image, perhaps outside: the first, and how many.
    pub rows: (isize, usize),
    pub columns: (isize, usize),
    pub fold: usize,
    /// Numbers of a pixel.
    pub pixel: usize,
}

/// Images of `size` pixels with `channels` each, of which some are read.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    pub data: &'a [f32],
    pub size: [usize; 2],
    pub channels: usize,
}

impl Frame {
    /// Images as they are.
    pub fn whole(size: [usize; 2], channels: usize) -> Self {
        Self { rows: (0, size[0]), columns: (0, size[1]), fold: 1, pixel: channels }
    }

    fn lane(&self) -> usize {
        self.columns.1.div_ceil(self.fold) * self.pixel
    }

    /// Numbers of a row, and of an image.
    pub fn row(&self) -> usize {
        self.lane() * self.fold
    }

    pub fn image(&self) -> usize {
        self.rows.1 * self.row()
    }

    /// Where a row, and a column in it, begins.
    pub fn down(&self, row: isize) -> usize {
        (row - self.rows.0) as usize * self.row()
    }

    pub fn across(&self, column: isize) -> usize {
        let column = (column - self.columns.0) as usize;
        if self.fold == 1 {
            return column * self.pixel;
        }
        column % self.fold * self.lane() + column / self.fold * self.pixel
    }

    /// Copies the frame of image `n`, and of the channels from `first` on.
    pub fn copy(&self, images: Images, n: usize, first: usize, to: &mut [f32]) {
        let ([h, w], all) = (images.size, images.channels);
        let inside = |start: isize, len: usize, size: usize| -> Range<usize> {
            let end = (start + len as isize).clamp(0, size as isize);
            start.clamp(0, end) as usize..end as usize
        };
        let columns = inside(self.columns.0, self.columns.1, w);
        let before = (columns.start as isize - self.columns.0).min(self.columns.1 as isize) as usize;
        for (r, to) in to.chunks_exact_mut(self.row().max(1)).take(self.rows.1).enumerate() {
            let row = self.rows.0 + r as isize;
            if row < 0 || row >= h as isize || columns.is_empty() {
                to.fill(0.0);
                continue;
            }
            let from = &images.data[((n * h + row as usize) * w + columns.start) * all..][..columns.len() * all];
            if self.fold == 1 {
                let (left, rest) = to.split_at_mut(before * self.pixel);
                let (middle, right) = rest.split_at_mut(columns.len() * self.pixel);
                left.fill(0.0);
                right.fill(0.0);
                if all == self.pixel {
                    middle.copy_from_slice(from);
                } else {
                    let pixels = middle.chunks_exact_mut(self.pixel).zip(from.chunks_exact(all));
                    pixels.for_each(|(to, from)| to.copy_from_slice(&from[first..first + self.pixel]));
                }
            } else {
                to.fill(0.0);
                for (column, from) in columns.clone().zip(from.chunks_exact(all)) {
                    let at = self.across(column as isize);
                    to[at..at + self.pixel].copy_from_slice(&from[first..first + self.pixel]);
                }
            }
        }
    }
}
