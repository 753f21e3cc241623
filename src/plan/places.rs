//! Offsets in the arena for what lives at different times.

/// Something that wants memory: a value, or a gradient of one.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    pub len: usize,
    /// Numbers of a row, where it holds those of the whole batch.
    pub row: Option<usize>,
    /// The first and the last instruction that touches it.
    pub first: usize,
    pub last: usize,
}

/// Numbers in a cache line: places begin at its multiples, so that kernels meet aligned rows.
const ALIGN: usize = 16;

/// Offsets for buffers such that none that live at one time overlap, and the length of the arena. The largest first, each at
/// the lowest place that is free for its whole life.
pub fn assign(buffers: &[Buffer]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].len), buffers[i].first, i));
    let mut offsets = vec![0; buffers.len()];
    let mut placed: Vec<usize> = vec![];
    let mut arena = 0;
    for i in order {
        let buffer = buffers[i];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| buffers[j].first <= buffer.last && buffer.first <= buffers[j].last)
            .map(|&j| (offsets[j], offsets[j] + buffers[j].len.next_multiple_of(ALIGN)))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if offset + buffer.len <= start {
                break;
            }
            offset = offset.max(end);
        }
        offsets[i] = offset;
        placed.push(i);
        arena = arena.max(offset + buffer.len);
    }
    (offsets, arena)
}
