//! One axis of a correlation, in whole numbers: which pixels of the source a pixel of the target sums, for a filter bank that
//! slides over an image and for its transpose.
//!
//! Along an axis, `target[step · q + offset] = Σ_t source[stride · q + first + t · dilation] · w[sample(t)]` for every `q`. A
//! filter has one such sum. Its transpose has one for each remainder of the stride: target pixel `u` gets `source[o] · w[k]`
//! where `o · stride + k · dilation − padding = u`, so all pixels of one remainder are reached by the same samples, and by
//! neighbours in the source. With `g = gcd(stride, dilation)` these samples are `stride / g` apart and the source pixels
//! `dilation / g`; read backwards, so that the source goes up, this is a filter of stride 1.

use crate::kernels::cpu::unfold::Sliding;
use std::ops::Range;

#[derive(Clone, Copy, Debug)]
pub struct Axis {
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: usize,
    image: usize,
    positions: usize,
    transposed: bool,
}

/// The sum for one remainder.
#[derive(Clone, Debug)]
pub struct Phase {
    pub taps: usize,
    /// The pixel that tap 0 of `q = 0` reads, perhaps outside.
    pub first: isize,
    /// All `q` with a target.
    pub q: Range<usize>,
    pub step: usize,
    pub offset: isize,
    sample: usize,
    sample_step: isize,
}

impl Phase {
    /// The sample of the kernel that weighs a tap.
    pub fn sample(&self, tap: usize) -> usize {
        self.sample.wrapping_add_signed(self.sample_step * tap as isize)
    }

    pub fn target(&self, q: usize) -> usize {
        (self.step * q).wrapping_add_signed(self.offset)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Axis {
    pub fn new(sliding: &Sliding, axis: usize, transposed: bool) -> Self {
        let window = sliding.window;
        Self {
            kernel: window.kernel[axis],
            stride: window.stride[axis],
            dilation: window.dilation[axis],
            padding: window.padding[2 * axis],
            image: sliding.image[axis],
            positions: sliding.positions[axis],
            transposed,
        }
    }

    pub fn kernel(&self) -> usize {
        self.kernel
    }

    pub fn source(&self) -> usize {
        if self.transposed { self.positions } else { self.image }
    }

    pub fn target(&self) -> usize {
        if self.transposed { self.image } else { self.positions }
    }

    /// Pixels of the source from one `q` to the next.
    pub fn stride(&self) -> usize {
        if self.transposed { 1 } else { self.stride }
    }

    /// Pixels of the source from one tap to the next.
    pub fn dilation(&self) -> usize {
        if self.transposed { self.dilation / gcd(self.stride, self.dilation) } else { self.dilation }
    }

    pub fn phases(&self) -> usize {
        if self.transposed { self.stride } else { 1 }
    }

    pub fn phase(&self, remainder: usize) -> Phase {
        let &Axis { kernel, stride, dilation, padding, .. } = self;
        if !self.transposed {
            let first = -(padding as isize);
            return Phase { taps: kernel, first, q: 0..self.positions, step: 1, offset: 0, sample: 0, sample_step: 1 };
        }
        let start = padding.saturating_sub(remainder).div_ceil(stride);
        let end = (self.image + padding).saturating_sub(remainder).div_ceil(stride).max(start);
        let offset = remainder as isize - padding as isize;
        let apart = stride / gcd(stride, dilation);
        let least = (0..apart.min(kernel)).find(|k| k * dilation % stride == remainder);
        let taps = least.map_or(0, |k| (kernel - 1 - k) / apart + 1);
        let (least, beyond) = (least.unwrap_or(0), taps.max(1) - 1);
        // The quotient is exact where there are taps.
        let first = (remainder as isize - (least * dilation) as isize).div_euclid(stride as isize)
            - (beyond * self.dilation()) as isize;
        let sample = least + beyond * apart;
        Phase { taps, first, q: start..end, step: stride, offset, sample, sample_step: -(apart as isize) }
    }

    fn all(&self) -> impl Iterator<Item = Phase> {
        let axis = *self;
        (0..self.phases()).map(move |r| axis.phase(r))
    }

    /// Taps of all phases before one.
    pub fn taps_before(&self, remainder: usize) -> usize {
        (0..remainder).map(|r| self.phase(r).taps).sum()
    }

    /// The `q` of all phases together.
    pub fn range(&self) -> Range<usize> {
        let start = self.all().map(|p| p.q.start).min().unwrap_or(0);
        start..self.all().map(|p| p.q.end).max().unwrap_or(0).max(start)
    }

    /// The source pixels that these `q` read in any phase, perhaps outside: the first, and how many.
    pub fn reads(&self, q: Range<usize>) -> (isize, usize) {
        let taps = || self.all().filter(|p| p.taps > 0);
        let low = taps().map(|p| p.first).min().unwrap_or(0);
        let high = taps().map(|p| p.first + ((p.taps - 1) * self.dilation()) as isize).max().unwrap_or(0);
        let steps = (q.len().max(1) - 1) * self.stride();
        ((q.start * self.stride()) as isize + low, (high - low) as usize + steps + 1)
    }

    /// The most taps of a phase.
    pub fn most_taps(&self) -> usize {
        self.all().map(|p| p.taps).max().unwrap_or(0)
    }
}
