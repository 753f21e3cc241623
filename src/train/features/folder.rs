//! The folder of feature files. It holds what can be computed again at any time, and is kept small without being asked.

use crate::files::UNFINISHED;
use std::fs::{DirEntry, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub const EXTENSION: &str = "features";

/// The most files that stay, and the most bytes of them together.
const MOST_FILES: usize = 8;
const MOST_BYTES: u64 = 32 << 30;

/// After this a file without a name belongs to nobody any more: who wrote it was killed.
const FORSAKEN: Duration = Duration::from_secs(24 * 3600);

/// Notes that a file was used now. Where that cannot be noted, it goes a little earlier.
pub fn used(path: &Path) {
    let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes what was not used for longest, until few enough files stay; never the one at `newest`. What cannot be removed stays,
/// and whoever reads a file that goes keeps what it has open.
pub fn tidy(folder: &Path, newest: &Path) {
    let entries: Vec<DirEntry> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    let known = |entry: &DirEntry| {
        let facts = entry.metadata().ok().filter(|m| m.is_file())?;
        Some((facts.modified().ok()?, facts.len(), entry.path()))
    };
    let files: Vec<(SystemTime, u64, PathBuf)> = entries.iter().filter_map(known).collect();
    let unfinished = |path: &Path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(UNFINISHED));
    for (since, _, path) in files.iter().filter(|(.., path)| unfinished(path)) {
        if since.elapsed().is_ok_and(|age| age > FORSAKEN) {
            let _ = std::fs::remove_file(path);
        }
    }
    let mut features: Vec<_> =
        files.iter().filter(|(.., path)| path.extension().is_some_and(|e| e == EXTENSION)).collect();
    features.sort_by_key(|(since, _, path)| (path != newest, std::cmp::Reverse(*since)));
    let mut sum = 0u64;
    for (number, (_, size, path)) in features.into_iter().enumerate() {
        sum = sum.saturating_add(*size);
        if number >= MOST_FILES || (number > 0 && sum > MOST_BYTES) {
            let _ = std::fs::remove_file(path);
        }
    }
}
