//! Sizes of a depthwise convolution over maps with their channels last, and its windows in packed order.

use crate::ops::window::Window;
use std::ops::Range;

/// A window for each channel: `x` of `[batch, h, w, channels]`, the result of `[batch, oh, ow, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub batch: usize,
    pub channels: usize,
    pub image: [usize; 2],
    pub positions: [usize; 2],
    pub window: Window,
}

impl Geometry {
    /// For an input of `[batch, channels, height, width]`, as shapes are given.
    pub fn new(window: Window, x: &[usize]) -> Self {
        let image = [x[2], x[3]];
        Self { batch: x[0], channels: x[1], image, positions: window.output(image), window }
    }

    pub fn taps(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }

    /// The square window and the stride, if the fast loops know them.
    pub fn known(&self) -> Option<(usize, usize)> {
        let Window { kernel, stride, dilation, .. } = self.window;
        let square = kernel[0] == kernel[1] && stride[0] == stride[1] && dilation == [1, 1];
        (square && matches!(kernel[0], 3 | 5) && matches!(stride[0], 1 | 2)).then_some((kernel[0], stride[0]))
    }

    /// The samples of the window along an axis that read the image from position `o`.
    pub fn samples(&self, axis: usize, o: usize) -> Range<usize> {
        let (start, before) = (o * self.window.stride[axis], self.window.padding[2 * axis]);
        let dilation = self.window.dilation[axis];
        let first = before.saturating_sub(start).div_ceil(dilation);
        let end = (self.image[axis] + before).saturating_sub(start).div_ceil(dilation).min(self.window.kernel[axis]);
        first.min(end)..end
    }

    /// The pixel along an axis that sample `k` reads from position `o`, where it lies in the image.
    pub fn pixel(&self, axis: usize, o: usize, k: usize) -> usize {
        o * self.window.stride[axis] + k * self.window.dilation[axis] - self.window.padding[2 * axis]
    }
}

/// Windows of `[channels, 1, height, width]` as `[height · width, channels]`.
pub fn pack(w: &[f32], channels: usize, packed: &mut [f32]) {
    let taps = w.len() / channels;
    for (tap, packed) in packed.chunks_exact_mut(channels).enumerate() {
        packed.iter_mut().zip(w[tap..].iter().step_by(taps)).for_each(|(p, w)| *p = *w);
    }
}

/// Gradients of packed windows, written or added to those of windows as they are stored.
pub fn unpack(packed: &[f32], channels: usize, add: bool, w: &mut [f32]) {
    let taps = w.len() / channels;
    for (tap, packed) in packed.chunks_exact(channels).enumerate() {
        let places = w[tap..].iter_mut().step_by(taps);
        places.zip(packed).for_each(|(w, p)| *w = if add { *w + p } else { *p });
    }
}

/// Channels of a task: about `most`, in whole vectors, and tasks of about one size.
pub fn tile(channels: usize, most: usize) -> usize {
    channels.div_ceil(channels.div_ceil(most)).next_multiple_of(16)
}
