//! `concat`, `slice`, `reverse` and `permute`: numbers that move, unchanged.

use super::parallel::pieces;
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::concat::Concat;
use crate::ops::permute::Permute;
use crate::ops::reverse::Reverse;
use crate::ops::slice::Slice;

/// Numbers in front of and behind an axis, as the value is stored: with the channels of a map last, if it has them so.
fn around(shape: &[usize], axis: usize, channels_last: bool) -> (usize, usize) {
    if let (true, &[n, c, h, w]) = (channels_last, shape) {
        let (stored, axis) = ([n, h, w, c], if axis == 1 { 3 } else { axis.saturating_sub(1) });
        return around(&stored, axis, false);
    }
    (shape[..axis].iter().product(), shape[axis + 1..].iter().product())
}

/// Numbers of a row that is moved by one task, at least.
const MOVED: usize = 1 << 14;

/// Copies or adds numbers.
fn put(from: &[f32], to: &mut [f32], add: bool) {
    if add {
        to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
    } else {
        to.copy_from_slice(from);
    }
}

/// Copies or adds the first `own` numbers of each `stride` of `from` to the first of each `width` of `to`.
fn move_rows((from, stride): (&[f32], usize), (to, width): (&mut [f32], usize), own: usize, add: bool) {
    let rows = (MOVED / width.max(1)).max(1);
    pieces(to, rows * width, rows * own, |i, to| {
        let from = from[i * rows * stride..].chunks(stride);
        for (to, from) in to.chunks_mut(width).zip(from) {
            put(&from[..own], &mut to[..own], add);
        }
    });
}

impl Kernel for Concat {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (_, behind) = around(&shapes.output, self.axis, shapes.channels_last);
        let (width, mut start) = (shapes.output[self.axis] * behind, 0);
        for (input, shape) in inputs.iter().zip(&shapes.inputs) {
            let own = shape[self.axis] * behind;
            if !output.is_empty() {
                move_rows((input.numbers(), own), (&mut output[start..], width), own, false);
            }
            start += own;
        }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let (_, behind) = around(&call.shapes.output, self.axis, call.shapes.channels_last);
        let (width, mut start) = (call.shapes.output[self.axis] * behind, 0);
        for (gradient, shape) in gradients.iter_mut().zip(&call.shapes.inputs) {
            let own = shape[self.axis] * behind;
            if let (Some(dx), false) = (gradient, call.cotangent.is_empty()) {
                move_rows((&call.cotangent[start..], width), (&mut *dx.data, own), own, dx.add);
            }
            start += own;
        }
    }
}

impl Kernel for Slice {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, (_, behind)) = (inputs[0].numbers(), around(&shapes.output, self.axis, shapes.channels_last));
        let (width, own) = (shapes.inputs[0][self.axis] * behind, (self.end - self.start) * behind);
        if !x.is_empty() {
            move_rows((&x[self.start * behind..], width), (output, own), own, false);
        }
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let (_, behind) = around(&call.shapes.output, self.axis, call.shapes.channels_last);
        let (width, own) = (call.shapes.inputs[0][self.axis] * behind, (self.end - self.start) * behind);
        if !dx.add {
            dx.data.fill(0.0);
        }
        if !dx.data.is_empty() {
            move_rows((call.cotangent, own), (&mut dx.data[self.start * behind..], width), own, true);
        }
    }
}

/// Copies or adds examples in reverse order.
fn reverse(from: &[f32], to: &mut [f32], batch: usize, add: bool) {
    let example = to.len() / batch.max(1);
    if example == 0 {
        return;
    }
    pieces(to, example, example, |i, to| {
        put(&from[(batch - 1 - i) * example..][..example], to, add);
    });
}

impl Kernel for Reverse {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        reverse(inputs[0].numbers(), output, shapes.output[0], false);
    }

    /// Reversed twice, an example is back at its place.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        if let Some(dx) = &mut gradients[0] {
            reverse(call.cotangent, dx.data, call.shapes.output[0], dx.add);
        }
    }
}

/// A number for each axis: values have at most four.
type Axes = smallvec::SmallVec<[usize; 4]>;

impl Permute {
    /// Calls `f` with each row of the result along its last axis: where it starts, where its first number is in `x`, and how
    /// far apart they are there.
    fn each_row(&self, shapes: &Shapes, mut f: impl FnMut(usize, usize, usize)) {
        let x = &shapes.inputs[0];
        let stride = |axis: usize| x[axis + 1..].iter().product::<usize>();
        let (sizes, strides) = (&shapes.output, self.order.iter().map(|&axis| stride(axis + 1)));
        let strides: Axes = std::iter::once(stride(0)).chain(strides).collect();
        let last = sizes.len() - 1;
        let (mut place, mut from) = (Axes::from_elem(0, last), 0);
        for start in (0..sizes.iter().product()).step_by(sizes[last].max(1)) {
            f(start, from, strides[last]);
            for axis in (0..last).rev() {
                place[axis] += 1;
                from += strides[axis];
                if place[axis] < sizes[axis] {
                    break;
                }
                from -= sizes[axis] * strides[axis];
                place[axis] = 0;
            }
        }
    }
}

impl Kernel for Permute {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (x, width) = (inputs[0].numbers(), shapes.output[shapes.output.len() - 1]);
        self.each_row(shapes, |start, from, stride| {
            let row = &mut output[start..start + width];
            row.iter_mut().zip(x[from..].iter().step_by(stride)).for_each(|(y, x)| *y = *x);
        });
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let width = call.shapes.output[call.shapes.output.len() - 1];
        let add = dx.add;
        self.each_row(call.shapes, |start, from, stride| {
            let row = &call.cotangent[start..start + width];
            let places = dx.data[from..].iter_mut().step_by(stride);
            places.zip(row).for_each(|(g, d)| *g = if add { *g + d } else { *d });
        });
    }
}
