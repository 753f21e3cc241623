//! A filter bank over images of `[batch, height, width, channels]`, or its transpose: `conv2d` and `conv_transpose2d` forward,
//! and the gradients of their images.
//!
//! A row of a tile is a pixel of the target, its runs are the rows of the window, and each run is as long as the window is wide,
//! times the channels. A task has some rows of the target and some panels of weights: it copies what it reads of the source with
//! zeros around it, unless nothing lies outside, and leaves the finished pixels. See `axis` for the phases of a transpose.

use super::axis::Axis;
use super::frame::{Frame, Images};
use crate::kernels::cpu::bank::Bank;
use crate::kernels::cpu::parallel::{pieces, scratch, tasks};
use crate::kernels::cpu::tile::{Finish, ROWS, Results, Tile, WIDTH, panel_of_rows};
use std::ops::Range;

/// Numbers of the source that a task reads: a quarter of a core's second cache.
const SOURCE: usize = 1 << 16;

/// Numbers of the weights that one task may go through, so that they stay in a core's second cache from chunk to chunk.
const WEIGHTS: usize = 3 << 16;

/// Pixels of a chunk for which it is worth to go through weights that do not stay in a cache.
const PIXELS: usize = 128;

/// Numbers of the source up to which it is copied once for all tasks rather than by each.
const AHEAD: usize = 1 << 19;

/// Tasks that there should be, as long as each has enough multiplications.
const TASKS: usize = 16;
const WORK: usize = 1 << 19;

/// Sizes of a correlation; channels are those of one group.
#[derive(Clone, Copy, Debug)]
pub struct Correlation {
    pub axes: [Axis; 2],
    pub batch: usize,
    pub groups: usize,
    pub from: usize,
    pub to: usize,
    /// Numbers from a weight to that of the next channel of the source, and of the target.
    strides: [usize; 2],
}

/// How the work is cut: chunks of whole images, or of rows of one image, and panels that a task goes through.
struct Cut {
    images: usize,
    rows: usize,
    chunks: [usize; 2],
    panels: usize,
    panel_tasks: usize,
    /// Whether neighbouring tasks share their panels rather than their pixels.
    panels_first: bool,
}

impl Correlation {
    pub fn filter(bank: &Bank) -> Self {
        let taps = bank.sliding.taps();
        Self::new(bank, false, bank.channels, bank.rows, [taps, bank.channels * taps])
    }

    pub fn stamp(bank: &Bank) -> Self {
        let taps = bank.sliding.taps();
        Self::new(bank, true, bank.rows, bank.channels, [bank.channels * taps, taps])
    }

    fn new(bank: &Bank, transposed: bool, from: usize, to: usize, strides: [usize; 2]) -> Self {
        let axes = [0, 1].map(|a| Axis::new(&bank.sliding, a, transposed));
        Self { axes, batch: bank.batch, groups: bank.groups, from, to, strides }
    }

    fn samples(&self) -> usize {
        self.axes[0].kernel() * self.axes[1].kernel()
    }

    fn panels(&self) -> usize {
        self.to.div_ceil(WIDTH)
    }

    /// Numbers of all panels of a group.
    fn packed_group(&self) -> usize {
        self.samples() * self.from * self.panels() * WIDTH
    }

    /// Numbers of all panels.
    pub fn packed_len(&self) -> usize {
        self.groups * self.packed_group()
    }

    /// Multiplications in all.
    pub fn work(&self) -> usize {
        // Each phase has a part of the samples and of the pixels; in a filter there is but one.
        let pixels = self.axes.iter().map(|a| a.target().div_ceil(a.phases())).product::<usize>();
        self.groups * self.batch * pixels * self.packed_group()
    }

    /// Where the panels of a phase begin in those of a group.
    fn packed_phase(&self, phase: [usize; 2]) -> usize {
        let taps = self.axes[0].phase(phase[0]).taps;
        let before =
            self.axes[0].taps_before(phase[0]) * self.axes[1].kernel() + taps * self.axes[1].taps_before(phase[1]);
        before * self.from * self.panels() * WIDTH
    }

    /// Packs the weights: for each group and phase, panels of `[taps down][taps across · channels][WIDTH]`.
    pub fn pack(&self, w: &[f32], packed: &mut [f32]) {
        let (phases, panels) = (self.axes.map(|a| a.phases()), self.panels());
        let (samples, kernel) = (self.samples(), self.axes[1].kernel());
        let results = Results::new(packed);
        // Channels of the source that a task packs.
        let some = (WORK / 16 / (samples * WIDTH)).clamp(1, self.from);
        let blocks = self.from.div_ceil(some);
        let count = self.groups * panels * blocks;
        tasks(count, 4 * samples * some * WIDTH, |task| {
            let (g, panel, block) = (task / blocks / panels, task / blocks % panels, task % blocks);
            let width = WIDTH.min(self.to - panel * WIDTH);
            let channels = block * some..((block + 1) * some).min(self.from);
            let w = &w[g * self.from * self.to * samples + panel * WIDTH * self.strides[1]..];
            // Calls `fill` with the rows of a phase's tap, one for each of the channels, and with the tap's sample.
            let each = |fill: &dyn Fn(&mut [f32], usize)| {
                for phase in (0..phases[0]).flat_map(|y| (0..phases[1]).map(move |x| [y, x])) {
                    let [down, across] = [0, 1].map(|a| self.axes[a].phase(phase[a]));
                    let depth = down.taps * across.taps * self.from;
                    let start = g * self.packed_group() + self.packed_phase(phase) + panel * depth * WIDTH;
                    for tap in 0..down.taps * across.taps {
                        let (ty, tx) = (tap / across.taps, tap % across.taps);
                        let at = start + (tap * self.from + channels.start) * WIDTH;
                        // SAFETY: each task writes the rows of its own panel, phase, tap and channels, which no other writes.
                        let rows = unsafe { results.part(at, channels.len() * WIDTH) };
                        fill(rows, down.sample(ty) * kernel + across.sample(tx));
                    }
                }
            };
            if self.strides[0] == samples {
                // The windows of a filter stand behind each other, so filters are rows: they are transposed, and then sorted.
                let depth = channels.len() * samples;
                return scratch(depth * WIDTH, |columns| {
                    panel_of_rows(columns, &w[channels.start * samples..], self.strides[1], width, depth);
                    each(&|rows, sample| {
                        let columns = columns[sample * WIDTH..].chunks(samples * WIDTH);
                        for (row, column) in rows.chunks_exact_mut(WIDTH).zip(columns) {
                            row.copy_from_slice(&column[..WIDTH]);
                        }
                    });
                });
            }
            each(&|rows, sample| {
                for (row, c) in rows.chunks_exact_mut(WIDTH).zip(channels.clone()) {
                    let w = w[c * self.strides[0] + sample..].iter().step_by(self.strides[1]);
                    row[..width].iter_mut().zip(w).for_each(|(p, w)| *p = *w);
                    row[width..].fill(0.0);
                }
            });
        });
    }

    /// Packs the weights into memory of this thread's own.
    pub fn with_packed<R>(&self, w: &[f32], f: impl FnOnce(&[f32]) -> R) -> R {
        scratch(self.packed_len(), |packed| {
            self.pack(w, packed);
            f(packed)
        })
    }

    /// What the rows `rows` of all phases read.
    fn frame(&self, rows: Range<usize>) -> Frame {
        let fold = if self.axes[1].most_taps() > 1 { self.axes[1].dilation() } else { 1 };
        let columns = self.axes[1].reads(self.axes[1].range());
        Frame { rows: self.axes[0].reads(rows), columns, fold, pixel: self.from }
    }

    fn size(&self) -> [usize; 2] {
        self.axes.map(|a| a.source())
    }

    /// The frame of the images as they are, if tiles can read them so: nothing outside, and a window's row in a row.
    fn in_place(&self) -> Option<Frame> {
        let inside = self.axes.iter().all(|a| {
            let (first, count) = a.reads(a.range());
            first >= 0 && first as usize + count <= a.source()
        });
        let one = self.axes[1].most_taps() <= 1;
        let contiguous = one || (self.groups == 1 && self.axes[1].dilation() == 1);
        (inside && contiguous).then(|| Frame::whole(self.size(), self.groups * self.from))
    }

    fn cut(&self) -> Cut {
        let range = self.axes[0].range();
        let image = self.frame(range.clone()).image().max(1);
        let panel = self.samples() * self.from * WIDTH;
        let heavy = panel * self.panels() > WEIGHTS;
        let mut panels = if heavy { (WEIGHTS / panel).clamp(1, self.panels()) } else { self.panels() };
        let mut images = (SOURCE / image).clamp(1, self.batch);
        if heavy {
            // Every chunk reads all weights: it should have some pixels to read them for.
            let pixels = self.axes.iter().map(|a| a.range().len()).product::<usize>().max(1);
            images = images.max(PIXELS / pixels).min(self.batch);
        }
        images = self.batch.div_ceil(self.batch.div_ceil(images));
        let mut parts = if images > 1 { 1 } else { image.div_ceil(SOURCE).min(range.len()) };
        let wanted = (self.work() / WORK).clamp(1, TASKS);
        let count = |images: usize, parts: usize, panels: usize| {
            self.groups * self.batch.div_ceil(images) * parts * self.panels().div_ceil(panels)
        };
        while images > 1 && count(images, parts, panels) < wanted {
            images = images.div_ceil(2);
        }
        // A task should fill some tiles.
        let across = self.axes[1].range().len().max(1);
        while images == 1 && (range.len() / (2 * parts)) * across >= 2 * ROWS && count(images, parts, panels) < wanted {
            parts *= 2;
        }
        while panels > 1 && count(images, parts, panels) < wanted {
            panels = panels.div_ceil(2);
        }
        let rows = range.len().div_ceil(parts).max(1);
        Cut {
            images,
            rows,
            chunks: [self.batch.div_ceil(images), range.len().div_ceil(rows)],
            panels,
            panel_tasks: self.panels().div_ceil(panels),
            panels_first: heavy,
        }
    }

    /// `y = f(panels ⋆ x + …)`, with a bias for every channel of the target.
    pub fn run(&self, packed: &[f32], x: &[f32], y: &mut [f32], finish: &Finish) {
        if y.is_empty() {
            return;
        }
        let (cut, range) = (self.cut(), self.axes[0].range());
        let images = Images { data: x, size: self.size(), channels: self.groups * self.from };
        let (in_place, whole) = (self.in_place(), self.frame(range.clone()));
        let ahead = self.groups == 1 && cut.panel_tasks > 1 && self.batch * whole.image() <= AHEAD;
        let y = Results::new(y);
        let chunks = cut.chunks[0] * cut.chunks[1];
        let count = self.groups * cut.panel_tasks * chunks;
        let all = |source: Option<(&[f32], Frame)>| {
            tasks(count, self.work() / count.max(1), |task| {
                let (g, task) = (task / (cut.panel_tasks * chunks), task % (cut.panel_tasks * chunks));
                let (chunk, some) = match cut.panels_first {
                    true => (task % chunks, task / chunks),
                    false => (task / cut.panel_tasks, task % cut.panel_tasks),
                };
                let (n, part) = (chunk / cut.chunks[1] * cut.images, chunk % cut.chunks[1]);
                let of = n..(n + cut.images).min(self.batch);
                let start = range.start + part * cut.rows;
                let rows = start..(start + cut.rows).min(range.end);
                let panels = some * cut.panels..((some + 1) * cut.panels).min(self.panels());
                let piece = Piece { whole: self, packed, y, finish, g, images: of.clone(), rows: rows.clone(), panels };
                if let Some((source, frame)) = source {
                    // A frame that holds all channels begins with those of the first group.
                    let first = if frame.pixel > self.from { g * self.from } else { 0 };
                    return piece.run(&source[of.start * frame.image() + first..], frame);
                }
                let frame = self.frame(rows);
                scratch(of.len() * frame.image(), |copy| {
                    for (n, copy) in of.zip(copy.chunks_exact_mut(frame.image().max(1))) {
                        frame.copy(images, n, g * self.from, copy);
                    }
                    piece.run(copy, frame);
                });
            });
        };
        match in_place {
            Some(frame) => all(Some((x, frame))),
            None if ahead => scratch(self.batch * whole.image(), |copy| {
                pieces(copy, whole.image(), whole.image(), |n, copy| whole.copy(images, n, 0, copy));
                all(Some((copy, whole)));
            }),
            None => all(None),
        }
    }
}

/// What a task computes: rows of images, by some panels of a group.
struct Piece<'a> {
    whole: &'a Correlation,
    packed: &'a [f32],
    y: Results<'a>,
    finish: &'a Finish<'a>,
    g: usize,
    images: Range<usize>,
    rows: Range<usize>,
    panels: Range<usize>,
}

impl Piece<'_> {
    /// Runs all phases over the frames of the images, which begin at `source`.
    fn run(&self, source: &[f32], frame: Frame) {
        let phases = self.whole.axes.map(|a| a.phases());
        for phase in (0..phases[0]).flat_map(|y| (0..phases[1]).map(move |x| [y, x])) {
            self.phase(source, frame, phase);
        }
    }

    fn phase(&self, source: &[f32], frame: Frame, phase: [usize; 2]) {
        let &Correlation { axes, from, to, groups, .. } = self.whole;
        let [down, across] = [0, 1].map(|a| axes[a].phase(phase[a]));
        let (first, last) = (down.q.start.max(self.rows.start), down.q.end.min(self.rows.end));
        let (height, width) = (last.saturating_sub(first), across.q.len());
        let pixels = self.images.len() * height * width;
        let (len, all) = (across.taps * from, groups * to);
        let packed = &self.packed[self.g * self.whole.packed_group() + self.whole.packed_phase(phase)..];
        let tiles = pixels.div_ceil(ROWS);
        // A phase without taps reads nothing at all.
        let empty = down.taps * len == 0;
        let depth = down.taps * len * WIDTH;
        // Where a window is one pixel, that is read once for all panels; otherwise the panel is what stays in the first cache.
        let by_pixel = down.taps * across.taps <= 1 && depth * self.panels.len() <= WEIGHTS;
        let panels = self.panels.len();
        let (mut reads, mut writes, mut known) = ([0; ROWS], [0; ROWS], usize::MAX);
        for step in 0..tiles * panels {
            let (t, panel) = if by_pixel { (step / panels, step % panels) } else { (step % tiles, step / tiles) };
            let panel = self.panels.start + panel;
            let (start, end) = (pixels * t / tiles, pixels * (t + 1) / tiles);
            let count = end - start;
            if t != known {
                known = t;
                let (mut n, mut i, mut j) = (start / (height * width), start / width % height, start % width);
                let mut row = None;
                for (read, write) in reads.iter_mut().zip(&mut writes).take(count) {
                    let (source, target) = *row.get_or_insert_with(|| {
                        let q = first + i;
                        let source = (axes[0].stride() * q) as isize + down.first;
                        let source = if empty { 0 } else { n * frame.image() + frame.down(source) };
                        (source, ((self.images.start + n) * axes[0].target() + down.target(q)) * axes[1].target())
                    });
                    let q = across.q.start + j;
                    let column = (axes[1].stride() * q) as isize + across.first;
                    *read = if empty { 0 } else { source + frame.across(column) };
                    *write = (target + across.target(q)) * all;
                    j += 1;
                    if j == width {
                        (j, i, row) = (0, i + 1, None);
                        if i == height {
                            (i, n) = (0, n + 1);
                        }
                    }
                }
            }
            let (column, columns) = (self.g * to + panel * WIDTH, WIDTH.min(to - panel * WIDTH));
            let finish = Finish { bias: self.finish.bias.map(|b| &b[column..column + columns]), ..*self.finish };
            let writes = writes.map(|at| at + column);
            let weights = &packed[panel * depth..][..depth];
            let tile = Tile {
                x_run: axes[0].dilation() * frame.row(),
                runs: down.taps,
                w_run: len * WIDTH,
                ..Tile::rows(source, &reads[..count], len, weights, columns)
            };
            // SAFETY: every pixel of the target belongs to one `q` of one phase, and so to one task of a panel; the columns of
            // the panels lie apart.
            unsafe { tile.run(self.y, &writes[..count], &finish) };
        }
    }
}
