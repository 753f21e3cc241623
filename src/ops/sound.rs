//! Sound forms of what dfdx lacks or gets wrong, as ops on its tape: definitions use these and the rest of dfdx.
//!
//! dfdx 0.13 assigns where it must accumulate in the gradient of `slice`, has a wrong constant in that of
//! `accurate_gelu`, gives every tie of a maximum the full gradient, hides NaN in `relu` and `max`, and mis-orders the
//! gradient of a `softmax` over a strided view. The raw calls are therefore disallowed in `.clippy.toml`, and this is
//! the only file that may make them. What is here takes any layout, and gives contiguous tensors with identities of
//! their own.

#![allow(clippy::disallowed_methods)]

use super::value::{T0, T1, T2, T3, Tape};
use dfdx::prelude::{Axes, Cpu, HasShape, PutTape, ReduceShape, ReshapeTo, Shape, SplitTape, Tensor, TensorFromVec};

/// The index that reads no number.
pub const NOWHERE: usize = usize::MAX;

/// `y = f(x)` for each number, with the derivative `df(x)`.
pub fn unary<S: Shape, T: Tape>(
    x: Tensor<S, f32, Cpu, T>,
    f: impl Fn(f32) -> f32,
    df: impl Fn(f32) -> f32 + 'static,
) -> Tensor<S, f32, Cpu, T> {
    let (x, mut tape) = x.contiguous().split_tape();
    let numbers = x.as_vec();
    let y = x.device().tensor_from_vec(numbers.iter().map(|&x| f(x)).collect(), *x.shape());
    let (gx, gy) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |gradients| {
        let dy = std::mem::take(&mut **gradients.get_or_alloc_mut(&gy)?);
        for ((dx, &x), dy) in gradients.get_or_alloc_mut(&gx)?.iter_mut().zip(&numbers).zip(&dy) {
            *dx += df(x) * dy;
        }
        **gradients.get_or_alloc_mut(&gy)? = dy;
        Ok(())
    });
    y.put_tape(tape)
}

/// One number that follows from all of `x`: `f` gives it with its derivative in each number of `x`.
pub fn scalar<S: Shape, T: Tape>(x: Tensor<S, f32, Cpu, T>, f: impl FnOnce(&[f32]) -> (f32, Vec<f32>)) -> T0<T> {
    let (x, mut tape) = x.contiguous().split_tape();
    let (value, slopes) = f(&x.as_vec());
    let y = x.device().tensor_from_vec(vec![value], ());
    let (gx, gy) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |gradients| {
        let dy = gradients.get_or_alloc_mut(&gy)?[0];
        for (dx, slope) in gradients.get_or_alloc_mut(&gx)?.iter_mut().zip(&slopes) {
            *dx += slope * dy;
        }
        Ok(())
    });
    y.put_tape(tape)
}

/// The same numbers as a new tensor.
pub fn copy<S: Shape, T: Tape>(x: Tensor<S, f32, Cpu, T>) -> Tensor<S, f32, Cpu, T> {
    unary(x, |x| x, |_| 1.0)
}

/// `y[o, j, i] = x[o, index[j], i]`, and `fill` where the index is [`NOWHERE`]. Its gradient adds up: a number that is
/// read twice receives both gradients.
pub fn index_select<T: Tape>(x: T3<T>, index: Vec<usize>, fill: f32) -> T3<T> {
    let (x, mut tape) = x.contiguous().split_tape();
    let &(outer, n, inner) = x.shape();
    let numbers = x.as_vec();
    let mut picked = Vec::with_capacity(outer * index.len() * inner);
    for block in numbers.chunks((n * inner).max(1)) {
        for &j in &index {
            match j {
                NOWHERE => picked.resize(picked.len() + inner, fill),
                j if inner == 1 => picked.push(block[j]),
                j => picked.extend_from_slice(&block[j * inner..][..inner]),
            }
        }
    }
    let y = x.device().tensor_from_vec(picked, (outer, index.len(), inner));
    let (gx, gy) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |gradients| {
        let dy = std::mem::take(&mut **gradients.get_or_alloc_mut(&gy)?);
        let dx = gradients.get_or_alloc_mut(&gx)?;
        let blocks = dx.chunks_mut((n * inner).max(1)).zip(dy.chunks((index.len() * inner).max(1)));
        for (dx, dy) in blocks {
            for (k, &j) in index.iter().enumerate().filter(|(_, j)| **j != NOWHERE) {
                for i in 0..inner {
                    dx[j * inner + i] += dy[k * inner + i];
                }
            }
        }
        **gradients.get_or_alloc_mut(&gy)? = dy;
        Ok(())
    });
    y.put_tape(tape)
}

/// `y[j] = x[index[j]]` over the row-major numbers of `x`.
pub fn pick<T: Tape>(x: T1<T>, index: Vec<usize>) -> T1<T> {
    let n = x.shape().0;
    let m = index.len();
    index_select(x.reshape_like(&(1, n, 1)), index, 0.0).reshape_like(&(m,))
}

/// A sparse linear map over the last axis: `y[o, j] = Σ_k weight · x[o, index]` for the `(index, weight)` of `taps[j]`.
pub fn linear_map<T: Tape>(x: T2<T>, taps: Vec<Vec<(usize, f32)>>) -> T2<T> {
    let (x, mut tape) = x.contiguous().split_tape();
    let &(outer, n) = x.shape();
    let numbers = x.as_vec();
    let rows = numbers.chunks(n.max(1));
    let mapped = rows.flat_map(|row| taps.iter().map(|taps| taps.iter().map(|&(i, weight)| weight * row[i]).sum()));
    let y = x.device().tensor_from_vec(mapped.collect(), (outer, taps.len()));
    let (gx, gy) = (x.ghost(), y.ghost());
    tape.add_backward_op(move |gradients| {
        let dy = std::mem::take(&mut **gradients.get_or_alloc_mut(&gy)?);
        let dx = gradients.get_or_alloc_mut(&gx)?;
        for (dx, dy) in dx.chunks_mut(n.max(1)).zip(dy.chunks(taps.len().max(1))) {
            for (taps, dy) in taps.iter().zip(dy) {
                for &(i, weight) in taps {
                    dx[i] += weight * dy;
                }
            }
        }
        **gradients.get_or_alloc_mut(&gy)? = dy;
        Ok(())
    });
    y.put_tape(tape)
}

/// `e^x / Σ e^x` along an axis.
pub fn softmax<Ax: Axes, S: Shape + ReduceShape<Ax>, T: Tape>(x: Tensor<S, f32, Cpu, T>) -> Tensor<S, f32, Cpu, T> {
    x.contiguous().softmax::<Ax>()
}

/// `x − ln Σ e^x` along an axis.
pub fn log_softmax<Ax: Axes, S: Shape + ReduceShape<Ax>, T: Tape>(x: Tensor<S, f32, Cpu, T>) -> Tensor<S, f32, Cpu, T> {
    x.contiguous().log_softmax::<Ax>()
}
