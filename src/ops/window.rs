//! Windows that slide over an image: the one arithmetic of convolutions and pools; and what pools and `upsample` share.
//!
//! A window of `kernel` samples, `dilation` apart, starts every `stride` pixels over the image with its padding around.

use super::operation::{Mismatch, image, numbers, require, sizes};
use super::sound::{NOWHERE, linear_map};
use super::value::{Tape, Value};
use crate::base::Type;
use dfdx::prelude::{HasShape, ReshapeTo};

/// The attributes of a sliding window, each as `[vertical, horizontal]`; padding as top, bottom, left, right.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 4],
    pub dilation: [usize; 2],
}

/// The most pixels that all positions of a window read together: the list of them takes 2 GB.
const MOST_SAMPLES: usize = 1 << 28;

impl Window {
    /// Pixels from the first to the last sample of the window.
    fn extent(&self) -> [usize; 2] {
        [0, 1].map(|a| self.dilation[a] * (self.kernel[a] - 1) + 1)
    }

    /// Height and width of the result: `⌊(size + padding − extent) / stride⌋ + 1`.
    pub fn output(&self, [h, w]: [usize; 2]) -> [usize; 2] {
        let padded = self.padded([h, w]);
        [0, 1].map(|a| (padded[a] - self.extent()[a]) / self.stride[a] + 1)
    }

    fn padded(&self, [h, w]: [usize; 2]) -> [usize; 2] {
        let [top, bottom, left, right] = self.padding;
        [h + top + bottom, w + left + right]
    }

    /// Fails unless the window has a size, moves, and fits into the padded image at least once.
    pub fn check(&self, name: &str, size: [usize; 2]) -> Result<(), Mismatch> {
        let steps = [("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)];
        for (attribute, value) in steps {
            sizes(name, attribute, &value, 1)?;
        }
        sizes(name, "padding", &self.padding, 0)?;
        let (extent, [h, w]) = (self.extent(), self.padded(size));
        require(extent[0] <= h && extent[1] <= w, || {
            format!(
                "the window of `{name}` spans {}×{} pixels, and the image with its padding has {h}×{w}",
                extent[0], extent[1]
            )
        })
        .map_err(|m| m.help("use a smaller kernel or dilation, or more padding"))?;
        let [oh, ow] = self.output(size);
        let samples = [self.kernel[0], self.kernel[1], oh, ow].iter().try_fold(1usize, |n, &s| n.checked_mul(s));
        require(samples.is_some_and(|n| n <= MOST_SAMPLES), || {
            format!(
                "{oh}×{ow} windows of `{name}`, each of {:?}, read more pixels than a machine can list",
                self.kernel
            )
        })
        .map_err(|m| m.help("use a smaller kernel, or a stride"))
    }

    /// Fails when a window can lie in the padding alone, where a pool has nothing to pool.
    pub fn check_overlap(&self, name: &str) -> Result<(), Mismatch> {
        let [top, bottom, left, right] = self.padding;
        require(top.max(bottom) < self.kernel[0] && left.max(right) < self.kernel[1], || {
            format!(
                "the padding of `{name}` must be smaller than its kernel {:?}, and got {:?}",
                self.kernel, self.padding
            )
        })
    }

    /// The signature of a pool.
    pub fn pool(&self, name: &str, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(name, inputs)?;
        let [c, h, w] = image(name, &x)?;
        self.check(name, [h, w])?;
        self.check_overlap(name)?;
        let [oh, ow] = self.output([h, w]);
        Ok(x.with_inner(&[c, oh, ow]))
    }

    /// For each sample of the window and each position of it, in that order, the pixel it reads.
    pub fn pixels(&self, [h, w]: [usize; 2]) -> Vec<usize> {
        let [oh, ow] = self.output([h, w]);
        let [top, _, left, _] = self.padding;
        let mut pixels = Vec::with_capacity(self.kernel[0] * self.kernel[1] * oh * ow);
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                for oy in 0..oh {
                    let y = (oy * self.stride[0] + ky * self.dilation[0]).wrapping_sub(top);
                    for ox in 0..ow {
                        let x = (ox * self.stride[1] + kx * self.dilation[1]).wrapping_sub(left);
                        pixels.push(if y < h && x < w { y * w + x } else { NOWHERE });
                    }
                }
            }
        }
        pixels
    }

    /// The pixels of each position of the window that lie in the image.
    pub fn positions(&self, size: [usize; 2]) -> Vec<Vec<usize>> {
        let [oh, ow] = self.output(size);
        let pixels = self.pixels(size);
        (0..oh * ow).map(|p| pixels[p..].iter().step_by(oh * ow).copied().filter(|&i| i != NOWHERE).collect()).collect()
    }
}

/// The signature of an op that gives an image of another height and width.
pub fn resized(name: &str, inputs: &[Type], size: [usize; 2]) -> Result<Type, Mismatch> {
    let [x] = numbers(name, inputs)?;
    let [c, _, _] = image(name, &x)?;
    sizes(name, "size", &size, 1)?;
    Ok(x.with_inner(&[c, size[0], size[1]]))
}

/// For each pixel of the result, in row-major order, the pixels of the image that it is the weighted sum of.
pub type Taps = Vec<Vec<(usize, f32)>>;

/// The images of `[batch, C, H, W]` made anew, each channel by the taps for images of `[H, W]`.
pub fn resample<T: Tape>(x: Value<T>, [oh, ow]: [usize; 2], taps: impl FnOnce([usize; 2]) -> Taps) -> Value<T> {
    let x = x.r4();
    let &(batch, c, h, w) = x.shape();
    linear_map(x.reshape_like(&(batch * c, h * w)), taps([h, w])).reshape_like(&(batch, c, oh, ow)).into()
}
