//! Where the time of a session goes, by value and direction.

use super::call::Call;
use crate::engine::Measured;
use crate::graph::{Graph, ValueId};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the calls of each step have cost.
#[derive(Default)]
pub struct Profile {
    /// By value and by whether it is the pull-back.
    entries: BTreeMap<(ValueId, bool), Entry>,
}

#[derive(Default)]
struct Entry {
    op: &'static str,
    calls: u64,
    seconds: f64,
    /// How often the operations of one row's forward pass were done.
    passes: f64,
    bytes: f64,
}

impl Profile {
    pub fn add(&mut self, call: &Call, batch: usize, taken: Duration) {
        let (op, backward, passes) = call.cost();
        let entry = self.entries.entry((call.value, backward)).or_default();
        entry.op = op;
        entry.calls += 1;
        entry.seconds += taken.as_secs_f64();
        entry.passes += passes * batch as f64;
        entry.bytes += 4.0 * call.numbers() as f64 * passes;
    }

    pub fn measured(&self, graph: &Graph) -> Vec<Measured> {
        let measured = |(&(id, backward), entry): (&(ValueId, bool), &Entry)| {
            let value = graph.value(id);
            Measured {
                op: entry.op,
                of: value.path.clone(),
                backward,
                calls: entry.calls,
                seconds: entry.seconds,
                flops: graph.value_flops(value) as f64 * entry.passes,
                bytes: entry.bytes,
            }
        };
        self.entries.iter().map(measured).collect()
    }
}
