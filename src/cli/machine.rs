//! What this machine can hold, and how it is told to compute. A run that cannot fit is refused before it takes the machine down
//! with it.

use crate::base::diagnostic::closest;
use crate::base::{Diagnostic, Result};
use crate::kernels::cpu::{parallel, tile};
use crate::model::Model;
use crate::plan::{Memory, bytes};

/// Sets the number of threads and the instructions of the kernels, where the user names them.
pub fn choose(threads: Option<u32>, kernels: Option<&str>) -> Result<()> {
    let environment = std::env::var(tile::VARIABLE).ok().filter(|name| !name.is_empty());
    if let Some(name) = kernels.or(environment.as_deref())
        && let Err(usable) = tile::choose(name)
    {
        let exists = tile::all().iter().any(|isa| isa.name == name);
        let message = if exists {
            format!("this machine has no `{name}` instructions")
        } else {
            format!("there are no kernels `{name}`")
        };
        let help = match closest(name, usable.iter().copied()).filter(|_| !exists) {
            Some(best) => format!("did you mean `{best}`?"),
            None => format!("it has {}", usable.join(", ")),
        };
        return Err(Diagnostic::error(message).help(help).into());
    }
    if let Some(threads) = threads {
        assert!(parallel::set_threads(threads as usize), "bug: something was computed before the threads were set");
    }
    Ok(())
}

/// Refuses what needs more memory than there is, by the plan. Where the machine does not say, nothing is refused.
pub fn check_room(memory: &Memory, model: &Model) -> Result<()> {
    match total_bytes() {
        Some(total) if memory.train_bytes > total => {
            let (needs, has) = (bytes(memory.train_bytes), bytes(total));
            let diagnostic = Diagnostic::error(format!("`{}` does not fit into memory", model.name));
            let diagnostic = diagnostic.note(format!("to train it takes about {needs}, and there is {has}"));
            Err(diagnostic.help("a smaller `batch` or smaller layers take less; `mtlc build` tells how much").into())
        }
        _ => Ok(()),
    }
}

/// The memory of the machine, or of the control group when that has less.
fn total_bytes() -> Option<u64> {
    let installed = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    });
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    [installed, limit].into_iter().flatten().min()
}
