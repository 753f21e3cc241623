//! Where the time of training goes: the ops of its steps, and everything between them.

use crate::engine::Measured;
use std::time::Instant;

/// What was measured of steps or answers.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// What each op of each layer has cost, in no order.
    pub ops: Vec<Measured>,
    /// Seconds of everything else that has a name, such as the optimizer.
    pub phases: Vec<(&'static str, f64)>,
    /// Seconds from the beginning to the end, by the clock.
    pub seconds: f64,
}

impl Profile {
    /// Adds what another session measured. The same op of the same layer is one entry, also where a graph has it twice.
    pub fn add_ops(&mut self, more: Vec<Measured>) {
        for new in more {
            let same = |m: &&mut Measured| (m.op, &m.of, m.backward) == (new.op, &new.of, new.backward);
            match self.ops.iter_mut().find(same) {
                Some(old) => {
                    old.calls += new.calls;
                    old.seconds += new.seconds;
                    old.flops += new.flops;
                    old.bytes += new.bytes;
                }
                None => self.ops.push(new),
            }
        }
    }

    /// Adds the time since `began` to a phase.
    pub fn add_since(&mut self, phase: &'static str, began: Instant) {
        self.add_seconds(phase, began.elapsed().as_secs_f64());
    }

    pub fn add_seconds(&mut self, phase: &'static str, seconds: f64) {
        match self.phases.iter_mut().find(|(name, _)| *name == phase) {
            Some((_, sum)) => *sum += seconds,
            None => self.phases.push((phase, seconds)),
        }
    }

    /// Adds ops and phases that another profile has.
    pub fn add(&mut self, more: Profile) {
        self.add_ops(more.ops);
        more.phases.into_iter().for_each(|(phase, seconds)| self.add_seconds(phase, seconds));
    }

    /// Seconds that neither an op nor a phase accounts for.
    pub fn rest(&self) -> f64 {
        let ops: f64 = self.ops.iter().map(|m| m.seconds).sum();
        let phases: f64 = self.phases.iter().map(|(_, seconds)| seconds).sum();
        (self.seconds - ops - phases).max(0.0)
    }
}
