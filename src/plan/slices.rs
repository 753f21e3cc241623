//! How many rows of a batch a forward program computes at a time.
//!
//! Where each row follows from the same row of what is read, a batch may go through in slices, and then the maps between two ops are
//! still in a cache when they are read. What does not depend on the batch, the weights, is read once for each slice; so a value
//! *wants* as many rows as have [`CACHE`] bytes, or [`WEIGHT`] times the bytes of its weights. Consecutive values with a similar
//! want make a segment, which goes through in slices of the smallest of them; what is read outside of it is kept for the whole
//! batch.
//!
//! All this follows from the graph and the batch alone, never from the machine or its threads.

use crate::graph::{Graph, ValueId};

/// Bytes of what an op reads and writes that are taken to stay in a cache until the next op.
const CACHE: u64 = 6 << 20;

/// Bytes of maps for which it is worth to read a byte of weights again.
const WEIGHT: u64 = 4;

/// A batch is cut into no more slices than this, so that programs stay short.
const MOST: usize = 64;

/// What a segment costs by itself, in doublings of a value's rows: so much smaller slices than wanted are accepted to save one.
const SEGMENT: f64 = 6.0;

/// For each of these values, which are computed in this order, the rows that are computed at a time. Where two neighbours differ, one
/// segment ends and another begins.
pub fn rows(graph: &Graph, batch: usize, computed: &[ValueId]) -> Vec<usize> {
    let wants: Vec<Option<usize>> = computed.iter().map(|&id| want(graph, batch, id)).collect();
    if wants.iter().all(|want| want.is_none_or(|rows| rows >= batch)) {
        return vec![batch; computed.len()];
    }
    // The cheapest way to cut the first `end` values into segments: what it costs, and where the last of them begins.
    let mut best = vec![(0.0, 0)];
    for end in 1..=wants.len() {
        let (mut least, mut doublings, mut tied) = (batch, 0.0, false);
        let mut found = (f64::INFINITY, 0);
        for begin in (0..end).rev() {
            let want = wants[begin];
            least = want.map_or(least, |rows| rows.min(least));
            tied |= want.is_none();
            doublings += (want.unwrap_or(batch) as f64).log2();
            if tied && least < batch {
                break;
            }
            let cost = best[begin].0 + SEGMENT + doublings - (end - begin) as f64 * (least as f64).log2();
            if cost < found.0 {
                found = (cost, begin);
            }
        }
        best.push(found);
    }
    let mut rows = vec![batch; wants.len()];
    let mut end = wants.len();
    while end > 0 {
        let begin = best[end].1;
        let least = wants[begin..end].iter().flatten().min().copied().unwrap_or(batch);
        // As many slices as it takes, all of one size.
        rows[begin..end].fill(batch.div_ceil(batch.div_ceil(least)));
        end = begin;
    }
    rows
}

/// The rows that a value is best computed for at a time; none where they are not computed one by one.
fn want(graph: &Graph, batch: usize, id: ValueId) -> Option<usize> {
    let value = graph.value(id);
    if !value.is_by_row() {
        return None;
    }
    let inputs = || value.inputs().iter().map(|&input| &graph.value(input).ty);
    let bytes = |all: &mut dyn Iterator<Item = usize>| all.fold(0, |sum: u64, n| sum.saturating_add(4 * n as u64));
    let maps = inputs().filter(|ty| ty.is_batched()).chain([&value.ty]);
    let maps = bytes(&mut maps.map(|ty| ty.elements(1))).max(1);
    let weights = bytes(&mut inputs().filter(|ty| !ty.is_batched()).map(|ty| ty.elements(1)));
    let rows = usize::try_from(CACHE.max(weights.saturating_mul(WEIGHT)) / maps).unwrap_or(batch);
    Some(rows.clamp(batch.div_ceil(MOST).max(1), batch.max(1)))
}
