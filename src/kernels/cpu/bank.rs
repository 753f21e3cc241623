//! The sizes of a filter bank over images: what `conv2d` and `conv_transpose2d` are made of.

use super::unfold::Sliding;

/// A filter bank; rows and channels are those of one group.
#[derive(Clone, Copy, Debug)]
pub struct Bank {
    pub batch: usize,
    pub groups: usize,
    /// Filters.
    pub rows: usize,
    /// Channels that a filter reads.
    pub channels: usize,
    pub sliding: Sliding,
}
