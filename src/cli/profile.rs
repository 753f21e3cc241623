//! What `--profile` tells: time, operations and bytes of each op, against what the machine can do.

use super::console::{ABSENT, table};
use crate::base::{Diagnostic, Result};
use crate::engine::{ENGINES, Engine, Measured};
use crate::kernels::cpu::parallel;
use crate::kernels::cpu::peak::{self, Peak};
use crate::train::Profile;
use serde_json::{Value, json};

/// Lines of the second table.
const SHOWN: usize = 20;

/// Refuses an engine that cannot tell.
pub fn check(engine: &dyn Engine) -> Result<()> {
    if engine.measures() {
        return Ok(());
    }
    let able: Vec<String> = ENGINES.iter().filter(|e| e.measures()).map(|e| format!("`{}`", e.name())).collect();
    let diagnostic = Diagnostic::error(format!("the engine `{}` cannot tell what each op costs", engine.name()));
    Err(diagnostic.help(format!("leave `--profile` out, or take the engine {}", able.join(" or "))).into())
}

/// A profile, and the machine that it was measured on.
pub struct Told {
    profile: Profile,
    peak: Peak,
    threads: usize,
}

impl Told {
    /// Measures the machine, which takes a moment.
    pub fn of(profile: Profile) -> Self {
        Self { profile, peak: peak::measure(), threads: parallel::threads() }
    }

    /// Ops by kind, what is no op, and the ops of the layers that take longest.
    pub fn text(&self) -> String {
        let mut kinds = Profile::default();
        kinds.add_ops(self.profile.ops.iter().map(|m| Measured { of: String::new(), ..m.clone() }).collect());
        let head = |first: &[&str]| {
            let all = first.iter().chain(&["calls", "ms", "% of time", "GFLOP/s", "% of peak", "GB/s", "% of peak"]);
            all.map(ToString::to_string).collect::<Vec<_>>()
        };
        let mut by_kind: Vec<(f64, Vec<String>)> = kinds.ops.iter().map(|m| (m.seconds, self.line(m, false))).collect();
        let others = self.profile.phases.iter().copied().chain([("everything else", self.profile.rest())]);
        by_kind.extend(others.map(|(name, seconds)| (seconds, self.other(name, seconds))));
        by_kind.sort_by(|a, b| b.0.total_cmp(&a.0));
        let first = std::iter::once(head(&["op", ""])).chain(by_kind.into_iter().map(|(_, line)| line));
        let layers = self.sorted().into_iter().take(SHOWN).map(|m| self.line(m, true));
        let second = std::iter::once(head(&["op", "", "layer"])).chain(layers);
        format!(
            "{:.3} s on {} threads, which do up to {:.0} GFLOP/s and copy {:.1} GB/s\n{}\n\nby layer, the {SHOWN} that took longest\n{}",
            self.profile.seconds,
            self.threads,
            self.peak.flops / 1e9,
            self.peak.bytes / 1e9,
            table(&first.collect::<Vec<_>>()),
            table(&second.collect::<Vec<_>>()),
        )
    }

    /// Everything that was measured.
    pub fn json(&self) -> Value {
        let op = |m: &&Measured| {
            json!({
                "op": m.op,
                "of": m.of,
                "direction": direction(m),
                "calls": m.calls,
                "ms": m.seconds * 1e3,
                "flops": m.flops,
                "bytes": m.bytes,
                "share_of_time": share(m.seconds, self.profile.seconds),
                "share_of_peak_flops": share(m.flops / m.seconds, self.peak.flops),
                "share_of_peak_bytes": share(m.bytes / m.seconds, self.peak.bytes),
            })
        };
        let other = |(name, seconds): (&str, f64)| json!({ "name": name, "ms": seconds * 1e3 });
        let others = self.profile.phases.iter().copied().chain([("everything else", self.profile.rest())]);
        json!({
            "ms": self.profile.seconds * 1e3,
            "threads": self.threads,
            "peak_gflops_per_s": self.peak.flops / 1e9,
            "peak_gb_per_s": self.peak.bytes / 1e9,
            "ops": self.sorted().iter().map(op).collect::<Vec<_>>(),
            "others": others.map(other).collect::<Vec<_>>(),
        })
    }

    /// The ops of all layers, the longest first.
    fn sorted(&self) -> Vec<&Measured> {
        let mut ops: Vec<&Measured> = self.profile.ops.iter().collect();
        ops.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        ops
    }

    fn line(&self, m: &Measured, layer: bool) -> Vec<String> {
        let mut cells = vec![m.op.to_string(), direction(m).to_string()];
        if layer {
            cells.push(m.of.clone());
        }
        let (flops, bytes) = (m.flops / m.seconds, m.bytes / m.seconds);
        let number = |x: f64, places: usize| if x.is_finite() { format!("{x:.places$}") } else { ABSENT.into() };
        cells.extend([
            m.calls.to_string(),
            number(m.seconds * 1e3, 2),
            number(100.0 * m.seconds / self.profile.seconds, 1),
            number(flops / 1e9, 1),
            number(100.0 * flops / self.peak.flops, 1),
            number(bytes / 1e9, 1),
            number(100.0 * bytes / self.peak.bytes, 1),
        ]);
        cells
    }

    /// A line of what is no op.
    fn other(&self, name: &str, seconds: f64) -> Vec<String> {
        let (ms, part) = (format!("{:.2}", seconds * 1e3), format!("{:.1}", 100.0 * seconds / self.profile.seconds));
        let absent = || ABSENT.to_string();
        vec![name.into(), String::new(), absent(), ms, part, absent(), absent(), absent(), absent()]
    }
}

fn direction(m: &Measured) -> &'static str {
    if m.backward { "backward" } else { "forward" }
}

/// A share, where there is one.
fn share(part: f64, whole: f64) -> Option<f64> {
    Some(part / whole).filter(|share| share.is_finite())
}
