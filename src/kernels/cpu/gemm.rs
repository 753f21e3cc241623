//! Matrix products over row-major slices, by the `gemm` crate.

use gemm::Parallelism;

/// A matrix in a slice: `rows × columns`, or the transpose of one that is stored `columns × rows`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    /// From the start of a stored row to the start of the next.
    stride: usize,
    transposed: bool,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "bug: a matrix does not fill its shape");
        Self { data, rows, columns, stride: columns, transposed: false }
    }

    /// Rows that begin `stride` apart; the slice may go on behind the last.
    pub fn strided(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(reaches(data, rows, columns, stride), "bug: a matrix is larger than its slice");
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

/// Whether such a matrix lies in the slice, and its rows apart from each other.
fn reaches(data: &[f32], rows: usize, columns: usize, stride: usize) -> bool {
    stride >= columns && (rows == 0 || (rows - 1) * stride + columns <= data.len())
}

/// Where a product goes: rows that begin `stride` apart.
pub struct Target<'a> {
    pub data: &'a mut [f32],
    pub stride: usize,
    /// Add to what is there, or write over it.
    pub add: bool,
}

impl<'a> Target<'a> {
    /// Rows without gaps, written over.
    pub fn whole(data: &'a mut [f32], columns: usize) -> Self {
        Self { data, stride: columns, add: false }
    }
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
    let n = b.columns;
    assert_eq!(out.len(), a.rows * n, "bug: a product that does not fill its place");
    product_by(Threads::All, a, b, 1.0, Target { data: out, stride: n, add });
}

/// `out = scale · a · b`, or `out += scale · a · b`, on the thread that asks.
pub fn product_within(a: Matrix, b: Matrix, scale: f32, out: Target) {
    product_by(Threads::One, a, b, scale, out);
}

/// `out = scale · a · b`, or `out += scale · a · b`.
pub fn product_by(threads: Threads, a: Matrix, b: Matrix, scale: f32, out: Target) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    let alone = threads == Threads::One || m * n * k < PARALLEL;
    let threads = if alone { Parallelism::None } else { Parallelism::Rayon(0) };
    assert!(b.rows == k && reaches(out.data, m, n, out.stride), "bug: matrices that do not fit");
    if k == 0 && !out.add {
        out.data.chunks_mut(out.stride.max(1)).take(m).for_each(|row| row[..n].fill(0.0));
    }
    if m * n * k == 0 {
        return;
    }
    let ((a_cs, a_rs), (b_cs, b_rs)) = (a.strides(), b.strides());
    // SAFETY: the three slices are at least as long as their shapes and strides reach, as asserted above and where a `Matrix`
    // is made; `out` is borrowed exclusively, so it overlaps neither input, and its rows lie apart from each other.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.data.as_mut_ptr(),
            1,
            out.stride as isize,
            out.add,
            a.data.as_ptr(),
            a_cs,
            a_rs,
            b.data.as_ptr(),
            b_cs,
            b_rs,
            1.0,
            scale,
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

    #[test]
    fn products_within_larger_matrices() {
        let numbers: Vec<f32> = (0..40).map(|i| (i % 7) as f32 - 3.0).collect();
        let (a, b) = (Matrix::strided(&numbers, 3, 2, 8), Matrix::strided(&numbers[2..], 2, 4, 10));
        let at = |i: usize, j: usize| (0..2).map(|l| numbers[i * 8 + l] * numbers[2 + l * 10 + j]).sum::<f32>();
        let mut out = vec![1.0; 3 * 5 - 1];
        product_within(a, b, 2.0, Target { data: &mut out, stride: 5, add: true });
        let want = |i: usize| if i % 5 < 4 { 1.0 + 2.0 * at(i / 5, i % 5) } else { 1.0 };
        assert!((0..14).all(|i| out[i] == want(i)), "{out:?}");
    }
}
