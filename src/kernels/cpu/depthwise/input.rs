//! Depthwise convolution, and its gradient with respect to its input, for the windows and strides that networks have.

use super::geometry::{Geometry, tile};
use super::sweep::{Lines, Phase, Sweep};
use crate::kernels::cpu::function::{Limits, apply};
use crate::kernels::cpu::parallel::tasks;
use crate::kernels::cpu::tile::{Results, chosen};
use crate::ops::epilogue::Activation;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Channels of a task: few enough that their windows and the pixels of a strip stay in the nearest cache.
fn channels_of_task(g: &Geometry) -> usize {
    tile(g.channels, if g.window.kernel[0] == 3 { 128 } else { 64 })
}

/// Tasks that a call is cut into, at least, if it has lines enough.
const TASKS: usize = 16;

/// Some lines of an image, for some channels.
struct Task<'a> {
    sweep: &'a Sweep<'a>,
    g: &'a Geometry,
    backward: bool,
    n: usize,
    rows: Range<usize>,
    channels: Range<usize>,
}

/// `y = f(w ⋆ x + bias + residual)`, with packed windows; `bias` and `residual` may be empty.
pub fn forward(
    g: &Geometry,
    packed: &[f32],
    x: &[f32],
    bias: &[f32],
    residual: &[f32],
    activation: Option<Activation>,
    y: &mut [f32],
) {
    let (limits, rest) = Limits::of(activation);
    let sweep = Sweep {
        x,
        y: Results::new(y),
        w: packed,
        bias,
        residual,
        add: false,
        limits,
        channels: g.channels,
        from: g.image,
        to: g.positions,
        kernel: g.window.kernel[0],
    };
    run(g, &sweep, false, rest);
}

/// `dx = wᵀ ⋆ dy`, or added to it.
pub fn data_gradient(g: &Geometry, packed: &[f32], dy: &[f32], dx: &mut [f32], add: bool) {
    let sweep = Sweep {
        x: dy,
        y: Results::new(dx),
        w: packed,
        bias: &[],
        residual: &[],
        add,
        limits: Limits::NONE,
        channels: g.channels,
        from: g.positions,
        to: g.image,
        kernel: g.window.kernel[0],
    };
    run(g, &sweep, true, None);
}

fn run(g: &Geometry, sweep: &Sweep, backward: bool, rest: Option<Activation>) {
    let tile = channels_of_task(g);
    let (tiles, [height, width]) = (g.channels.div_ceil(tile), sweep.to);
    let rows = height.div_ceil(TASKS.div_ceil((g.batch * tiles).max(1)));
    let parts = height.div_ceil(rows);
    let check = |map: &[f32], [h, w]: [usize; 2]| assert_eq!(map.len(), g.batch * h * w * g.channels, "bug: a map");
    check(sweep.x, sweep.from);
    assert_eq!(sweep.y.len(), g.batch * height * width * g.channels, "bug: a map");
    assert_eq!(sweep.w.len(), g.taps() * g.channels, "bug: windows");
    if !sweep.bias.is_empty() {
        assert_eq!(sweep.bias.len(), g.channels, "bug: a bias");
    }
    if !sweep.residual.is_empty() {
        check(sweep.residual, sweep.to);
    }
    tasks(g.batch * parts * tiles, rows * width * tile.min(g.channels) * g.taps() / 8, |task| {
        let (n, part, first) = (task / tiles / parts, task / tiles % parts, task % tiles * tile);
        let rows = part * rows..height.min((part + 1) * rows);
        let channels = first..g.channels.min(first + tile);
        (chosen().arch)().dispatch(Task { sweep, g, backward, n, rows: rows.clone(), channels: channels.clone() });
        let Some(activation) = rest else { return };
        for pixel in (n * height + rows.start) * width..(n * height + rows.end) * width {
            // SAFETY: these channels of these lines are no other task's.
            let y = unsafe { sweep.y.part(pixel * g.channels + channels.start, channels.len()) };
            apply(activation, y);
        }
    });
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (kernel, stride) = self.g.known().expect("who calls has asked");
        for row in self.rows.clone() {
            if !self.backward {
                let phase = Phase {
                    first: 0,
                    stride: 1,
                    count: self.g.positions[1],
                    column: -(self.g.window.padding[2] as isize),
                    sample: 0,
                    step: 1,
                };
                let samples = self.g.samples(0, row);
                let first = if samples.is_empty() { 0 } else { self.g.pixel(0, row, samples.start) };
                let lines = Lines { first, count: samples.len(), sample: samples.start, step: 1 };
                match (kernel, stride) {
                    (3, 1) => self.line::<S, 3, 1>(simd, row, lines, &phase),
                    (3, _) => self.line::<S, 3, 2>(simd, row, lines, &phase),
                    (_, 1) => self.line::<S, 5, 1>(simd, row, lines, &phase),
                    _ => self.line::<S, 5, 2>(simd, row, lines, &phase),
                }
                continue;
            }
            let lines = self.lines_back(row, stride);
            for phase in (0..stride.min(self.g.image[1])).map(|first| self.phase_back(first, stride)) {
                match (phase.sample / stride) + 1 {
                    1 => self.line::<S, 1, 1>(simd, row, lines, &phase),
                    2 => self.line::<S, 2, 1>(simd, row, lines, &phase),
                    3 => self.line::<S, 3, 1>(simd, row, lines, &phase),
                    _ => self.line::<S, 5, 1>(simd, row, lines, &phase),
                }
            }
        }
    }
}

impl Task<'_> {
    #[inline(always)]
    fn line<S: Simd, const T: usize, const STEP: usize>(&self, simd: S, row: usize, lines: Lines, phase: &Phase) {
        // SAFETY: `run` has compared the lengths of all slices with the sizes; lines and phases keep to these sizes; and the
        // channels of the lines of a task are no other task's.
        unsafe { self.sweep.line::<S, T, STEP>(simd, (self.n, row), lines, phase, self.channels.clone()) }
    }

    /// The lines of positions that read line `row` of the image. The later the position, the earlier the row of its window.
    fn lines_back(&self, row: usize, stride: usize) -> Lines {
        let (place, kernel, last) = (row + self.g.window.padding[0], self.g.window.kernel[0], self.g.positions[0] - 1);
        let lowest = place.saturating_sub(stride * last);
        let lowest = lowest + (place - lowest) % stride;
        let highest = place.min(kernel - 1);
        if lowest > highest {
            return Lines { first: 0, count: 0, sample: 0, step: 0 };
        }
        let highest = highest - (highest - lowest) % stride;
        let first = (place - highest) / stride;
        Lines { first, count: (highest - lowest) / stride + 1, sample: highest, step: -(stride as isize) }
    }

    /// The pixels of a line whose column is `first` modulo the stride.
    fn phase_back(&self, first: usize, stride: usize) -> Phase {
        let (left, kernel) = (self.g.window.padding[2], self.g.window.kernel[1]);
        // The last column of the window that meets them.
        let sample = kernel - 1 - (kernel - 1 + stride - (first + left) % stride) % stride;
        Phase {
            first,
            stride,
            count: (self.g.image[1] - first).div_ceil(stride),
            column: (first as isize + left as isize - sample as isize) / stride as isize,
            sample,
            step: -(stride as isize),
        }
    }
}
