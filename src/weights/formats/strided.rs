//! Walks over tensors whose neighbours in memory are not neighbours in the tensor.

/// The places of all elements in row-major order, for sizes and strides of the same number.
///
/// The caller has checked that the last place lies within its memory.
pub fn walk<'d>(dims: &'d [usize], strides: &'d [usize]) -> impl Iterator<Item = usize> + 'd {
    let count: usize = dims.iter().product();
    let mut index = vec![0; dims.len()];
    let mut place = 0;
    (0..count).map(move |_| {
        let here = place;
        for axis in (0..dims.len()).rev() {
            // The stride of an axis of size 1 may be any number, and is never taken.
            if index[axis] + 1 < dims[axis] {
                index[axis] += 1;
                place += strides[axis];
                break;
            }
            place -= index[axis] * strides[axis];
            index[axis] = 0;
        }
        here
    })
}

/// Whether the elements lie one behind the other. Strides of axes of size 1 mean nothing.
pub fn is_contiguous(dims: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    dims.iter().zip(strides).rev().all(|(&n, &stride)| {
        let fits = n == 1 || stride == step;
        step *= n;
        fits
    })
}

/// The place of the last element, or nothing where it is beyond all numbers. Tensors have at least one element here.
pub fn last(offset: usize, dims: &[usize], strides: &[usize]) -> Option<usize> {
    dims.iter()
        .zip(strides)
        .try_fold(offset, |at, (&n, &stride)| at.checked_add(n.checked_sub(1)?.checked_mul(stride)?))
}
