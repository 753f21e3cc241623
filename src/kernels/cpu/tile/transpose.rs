//! Transposes of matrices, 16 by 16 numbers at a time: what makes rows of weights into panels, and columns into rows.

use super::WIDTH;
use super::isa::chosen;
use crate::kernels::cpu::lanes::fetch;

/// Rows and columns of a block.
pub const BLOCK: usize = 16;

/// Transposes one block: `y[c · y_row + r] = x[r · x_row + c]`.
///
/// # Safety
/// The machine has the instructions, `BLOCK` rows of `BLOCK` numbers may be read at `x`, and written at `y`.
pub type BlockFn = unsafe fn(x: *const f32, x_row: usize, y: *mut f32, y_row: usize);

/// `y[c · y_row + r] = x[r · x_row + c]` for so many rows and columns of `x`.
pub fn transpose(x: &[f32], x_row: usize, rows: usize, columns: usize, y: &mut [f32], y_row: usize) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!((rows - 1) * x_row + columns <= x.len(), "bug: a matrix is larger than its slice");
    assert!((columns - 1) * y_row + rows <= y.len(), "bug: a transpose is larger than its place");
    let block = chosen().transpose;
    for c in (0..columns).step_by(BLOCK) {
        for r in (0..rows).step_by(BLOCK) {
            let (height, width) = (BLOCK.min(rows - r), BLOCK.min(columns - c));
            if height == BLOCK && width == BLOCK {
                // SAFETY: the block lies within the rows and columns that were asserted to lie in both slices.
                unsafe { block(x.as_ptr().add(r * x_row + c), x_row, y.as_mut_ptr().add(c * y_row + r), y_row) };
                continue;
            }
            // At the edges the block goes through copies of full size.
            let (mut from, mut to) = ([0.0; BLOCK * BLOCK], [0.0; BLOCK * BLOCK]);
            for i in 0..height {
                copy(&mut from[i * BLOCK..][..width], &x[(r + i) * x_row + c..][..width]);
            }
            // SAFETY: both arrays have `BLOCK` rows of `BLOCK` numbers.
            unsafe { block(from.as_ptr(), BLOCK, to.as_mut_ptr(), BLOCK) };
            for i in 0..width {
                copy(&mut y[(c + i) * y_row + r..][..height], &to[i * BLOCK..][..height]);
            }
        }
    }
}

/// Copies up to `BLOCK` numbers: as many at once as a register has, or one by one.
fn copy(to: &mut [f32], from: &[f32]) {
    match (to.first_chunk_mut::<BLOCK>(), from.first_chunk::<BLOCK>()) {
        (Some(to), Some(from)) => *to = *from,
        _ => to.iter_mut().zip(from).for_each(|(y, x)| *y = *x),
    }
}

/// Makes a panel of up to `WIDTH` rows of `depth` numbers: `panel[k][c] = x[c · x_row + k]`, and 0 in columns that are missing.
pub fn panel_of_rows(panel: &mut [f32], x: &[f32], x_row: usize, columns: usize, depth: usize) {
    assert!(columns <= WIDTH && panel.len() == depth * WIDTH, "bug: a panel of another size");
    transpose(x, x_row, columns, depth, panel, WIDTH);
    if columns < WIDTH {
        panel.chunks_exact_mut(WIDTH).for_each(|row| row[columns..].fill(0.0));
    }
}

/// How many rows ahead a panel's columns are fetched: each row may stand in another page, where the machine's own prefetching ends.
const AHEAD: usize = 16;

/// Makes a panel of up to `WIDTH` columns: `panel[k][c] = x[k · x_row + c]`, and 0 in columns that are missing.
pub fn panel_of_columns(panel: &mut [f32], x: &[f32], x_row: usize, columns: usize, depth: usize) {
    assert!(columns <= WIDTH && panel.len() == depth * WIDTH, "bug: a panel of another size");
    for (k, row) in panel.chunks_exact_mut(WIDTH).enumerate() {
        fetch(x.as_ptr().wrapping_add((k + AHEAD) * x_row));
        fetch(x.as_ptr().wrapping_add((k + AHEAD) * x_row + BLOCK));
        match x[k * x_row..].first_chunk::<WIDTH>() {
            // Copies of a constant length are a few instructions.
            Some(x) if columns == WIDTH => row.copy_from_slice(x),
            _ => {
                row[..columns].copy_from_slice(&x[k * x_row..][..columns]);
                row[columns..].fill(0.0);
            }
        }
    }
}

/// A block in plain loops.
///
/// # Safety
/// See [`BlockFn`].
pub unsafe fn portable(x: *const f32, x_row: usize, y: *mut f32, y_row: usize) {
    for r in 0..BLOCK {
        for c in 0..BLOCK {
            // SAFETY: the caller promises that the block may be read and written.
            unsafe { *y.add(c * y_row + r) = *x.add(r * x_row + c) };
        }
    }
}

/// A block as four of eight by eight, each three rounds of shuffles: pairs, pairs of pairs, halves.
///
/// # Safety
/// See [`BlockFn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
pub unsafe fn avx2(x: *const f32, x_row: usize, y: *mut f32, y_row: usize) {
    use std::arch::x86_64::*;
    for (top, left) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
        // SAFETY: the caller promises that the block may be read.
        let row = |r: usize| unsafe { _mm256_loadu_ps(x.add((top + r) * x_row + left)) };
        let a: [__m256; 8] = std::array::from_fn(row);
        let pairs: [__m256; 8] = std::array::from_fn(|i| {
            let (even, odd) = (a[i / 2 * 2], a[i / 2 * 2 + 1]);
            if i % 2 == 0 { _mm256_unpacklo_ps(even, odd) } else { _mm256_unpackhi_ps(even, odd) }
        });
        let fours: [__m256; 8] = std::array::from_fn(|i| {
            let (half, column) = (i / 4 * 4, i % 4);
            let (low, high) = (pairs[half + column / 2], pairs[half + 2 + column / 2]);
            if column % 2 == 0 { _mm256_shuffle_ps::<0x44>(low, high) } else { _mm256_shuffle_ps::<0xee>(low, high) }
        });
        for c in 0..4 {
            // SAFETY: the caller promises that the block may be written.
            unsafe {
                let y = y.add((left + c) * y_row + top);
                _mm256_storeu_ps(y, _mm256_permute2f128_ps::<0x20>(fours[c], fours[c + 4]));
                _mm256_storeu_ps(y.add(4 * y_row), _mm256_permute2f128_ps::<0x31>(fours[c], fours[c + 4]));
            }
        }
    }
}

/// A block in 16 registers: pairs, fours of rows within quarters of a register, and then the quarters.
///
/// # Safety
/// See [`BlockFn`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
pub unsafe fn avx512(x: *const f32, x_row: usize, y: *mut f32, y_row: usize) {
    use std::arch::x86_64::*;
    // SAFETY: the caller promises that the block may be read.
    let a: [__m512; BLOCK] = std::array::from_fn(|r| unsafe { _mm512_loadu_ps(x.add(r * x_row)) });
    let pairs: [__m512; BLOCK] = std::array::from_fn(|i| {
        let (even, odd) = (a[i / 2 * 2], a[i / 2 * 2 + 1]);
        if i % 2 == 0 { _mm512_unpacklo_ps(even, odd) } else { _mm512_unpackhi_ps(even, odd) }
    });
    // fours[4 · b + j]: of rows 4 · b.., the columns j, 4 + j, 8 + j and 12 + j.
    let fours: [__m512; BLOCK] = std::array::from_fn(|i| {
        let (band, column) = (i / 4 * 4, i % 4);
        let (low, high) = (pairs[band + column / 2], pairs[band + 2 + column / 2]);
        if column % 2 == 0 { _mm512_shuffle_ps::<0x44>(low, high) } else { _mm512_shuffle_ps::<0xee>(low, high) }
    });
    for j in 0..4 {
        let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
        let (even_low, odd_low) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
        let (even_high, odd_high) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
        let columns = [
            _mm512_shuffle_f32x4::<0x88>(even_low, even_high),
            _mm512_shuffle_f32x4::<0x88>(odd_low, odd_high),
            _mm512_shuffle_f32x4::<0xdd>(even_low, even_high),
            _mm512_shuffle_f32x4::<0xdd>(odd_low, odd_high),
        ];
        for (q, column) in columns.into_iter().enumerate() {
            // SAFETY: the caller promises that the block may be written.
            unsafe { _mm512_storeu_ps(y.add((4 * q + j) * y_row), column) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::tile::all;

    #[test]
    fn every_table_transposes_a_block() {
        let x: Vec<f32> = (0..16 * 19).map(|i| i as f32).collect();
        for isa in all().iter().filter(|isa| (isa.available)()) {
            let mut y = vec![-1.0; 16 * 21];
            // SAFETY: both matrices have 16 rows of at least 16 numbers, and the machine has the instructions.
            unsafe { (isa.transpose)(x.as_ptr(), 19, y.as_mut_ptr(), 21) };
            for (i, &y) in y.iter().enumerate() {
                let want = if i % 21 < 16 { x[i % 21 * 19 + i / 21] } else { -1.0 };
                assert_eq!(y, want, "{} at {i}", isa.name);
            }
        }
    }

    #[test]
    fn transposes_and_panels_of_odd_sizes() {
        let x: Vec<f32> = (0..40 * 37).map(|i| i as f32).collect();
        for (rows, columns) in [(1, 1), (16, 16), (17, 33), (40, 37), (5, 16), (0, 4)] {
            let mut y = vec![-1.0; 37 * 41];
            transpose(&x, 37, rows, columns, &mut y, 41);
            let want = |i: usize| if i / 41 < columns && i % 41 < rows { x[i % 41 * 37 + i / 41] } else { -1.0 };
            assert!((0..y.len()).all(|i| y[i] == want(i)), "{rows} by {columns}");
        }
        for width in [1, 31, 32] {
            let mut panel = vec![f32::NAN; 20 * WIDTH];
            panel_of_rows(&mut panel, &x, 37, width, 20);
            let want = |i: usize| if i % 32 < width { x[i % 32 * 37 + i / 32] } else { 0.0 };
            assert!((0..panel.len()).all(|i| panel[i] == want(i)), "rows, {width}");
            panel_of_columns(&mut panel, &x, 37, width, 20);
            let want = |i: usize| if i % 32 < width { x[i / 32 * 37 + i % 32] } else { 0.0 };
            assert!((0..panel.len()).all(|i| panel[i] == want(i)), "columns, {width}");
        }
    }
}
