//! Matrix products over row-major slices, by the `gemm` crate.

use gemm::Parallelism;

/// A matrix in a slice: `rows × columns`, or the transpose of one that is stored `columns × rows`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    /// From one stored row to the next.
    stride: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "bug: a matrix does not fill its shape");
        Self { data, rows, columns, stride: columns, transposed: false }
    }

    /// Some columns of a wider row-major matrix, whose rows begin `stride` apart.
    pub fn columns(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(reaches(rows, columns, stride) <= data.len(), "bug: a matrix leaves its slice");
        Self { data, rows, columns, stride, transposed: false }
    }

    /// The transpose, without moving anything.
    pub fn t(self) -> Self {
        Self { rows: self.columns, columns: self.rows, transposed: !self.transposed, ..self }
    }

    /// Strides between columns and between rows.
    fn strides(&self) -> (isize, isize) {
        if self.transposed { (self.stride as isize, 1) } else { (1, self.stride as isize) }
    }
}

/// How many numbers a matrix spans.
fn reaches(rows: usize, columns: usize, stride: usize) -> usize {
    assert!(rows <= 1 || columns <= stride, "bug: the rows of a matrix overlap");
    if rows * columns == 0 { 0 } else { (rows - 1) * stride + columns }
}

/// Who computes a product: the thread that asks, or all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threads {
    One,
    All,
}

/// Below this many multiplications, starting threads costs more than they save.
const PARALLEL: usize = 1 << 17;

/// `out = a · b`, or `out += a · b`. The sums run in one order whatever the number of threads, so the bits do too.
pub fn product(a: Matrix, b: Matrix, out: &mut [f32], add: bool) {
    assert_eq!(out.len(), a.rows * b.columns, "bug: matrices that do not fit");
    product_by(Threads::All, a, b, out, b.columns, add);
}

/// [`product`] into a matrix whose rows begin `stride` apart.
pub fn product_by(threads: Threads, a: Matrix, b: Matrix, out: &mut [f32], stride: usize, add: bool) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert!(b.rows == k && reaches(m, n, stride) <= out.len(), "bug: matrices that do not fit");
    if m * n == 0 {
        return;
    }
    if k == 0 {
        if !add {
            out.chunks_mut(stride).take(m).for_each(|row| row[..n].fill(0.0));
        }
        return;
    }
    let alone = threads == Threads::One || m * n * k < PARALLEL;
    let threads = if alone { Parallelism::None } else { Parallelism::Rayon(0) };
    let ((a_cs, a_rs), (b_cs, b_rs)) = (a.strides(), b.strides());
    // SAFETY: the three slices have at least the lengths that their shapes and strides reach, as asserted above and where a
    // `Matrix` is made; `out` is borrowed exclusively, so it overlaps neither input, and its rows do not overlap.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a_cs,
            a_rs,
            b.data.as_ptr(),
            b_cs,
            b_rs,
            1.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_odd_shapes_and_transposes() {
        let (m, n, k) = (5, 7, 3);
        let a: Vec<f32> = (0..m * k).map(|i| (i % 5) as f32 - 2.0).collect();
        let b: Vec<f32> = (0..k * n).map(|i| (i % 7) as f32 - 3.0).collect();
        let at = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum::<f32>();
        let mut out = vec![1.0; m * n];
        product(Matrix::new(&a, m, k), Matrix::new(&b, k, n), &mut out, true);
        assert!((0..m * n).all(|i| out[i] == 1.0 + at(i / n, i % n)), "{out:?}");
        let mut transposed = vec![0.0; n * m];
        product(Matrix::new(&b, k, n).t(), Matrix::new(&a, m, k).t(), &mut transposed, false);
        assert!((0..m * n).all(|i| transposed[i % n * m + i / n] == at(i / n, i % n)));
        let mut empty = vec![3.0; 2];
        product(Matrix::new(&[], 1, 0), Matrix::new(&[], 0, 2), &mut empty, false);
        assert_eq!(empty, [0.0, 0.0]);
    }
}
