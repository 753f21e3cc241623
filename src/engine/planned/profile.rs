//! Where the time of a session goes, by value and direction.

use super::call::Cost;
use crate::engine::Measured;
use crate::graph::{Graph, ValueId};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the instructions of each step have cost.
#[derive(Default)]
pub struct Profile {
    /// By value and by whether it is the pull-back.
    entries: BTreeMap<(ValueId, bool), Measured>,
}

impl Profile {
    pub fn add(&mut self, graph: &Graph, value: ValueId, cost: Cost, taken: Duration) {
        let entry = self.entries.entry((value, cost.backward)).or_insert_with(|| Measured {
            op: cost.op,
            of: graph.value(value).path.clone(),
            backward: cost.backward,
            calls: 0,
            seconds: 0.0,
            flops: 0.0,
            bytes: 0.0,
        });
        entry.calls += 1;
        entry.seconds += taken.as_secs_f64();
        entry.flops += cost.flops;
        entry.bytes += cost.bytes;
    }

    pub fn measured(&self) -> Vec<Measured> {
        self.entries.values().cloned().collect()
    }
}
