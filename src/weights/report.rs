//! What became of a file of weights, and what to write where it does not fit.

use super::TensorFile;
use serde::{Deserialize, Serialize};

/// What was taken from a file for one network, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub network: String,
    pub file: String,
    pub format: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Parameters, and the tensors that they came from.
    pub loaded: Vec<(String, String)>,
    /// Parameters that keep their first values because the spec says so.
    pub fresh: Vec<String>,
    /// Parameters that keep their first values because the file has another shape for them.
    pub reinitialised: Vec<String>,
    /// Tensors that the spec does not want.
    pub unused: Vec<String>,
    /// How many tensors belong to other parts of the model that the file is of.
    pub others: usize,
    pub notes: Vec<String>,
}

impl Report {
    pub(super) fn of(file: &TensorFile, network: &str) -> Report {
        Report {
            network: network.into(),
            file: file.name.clone(),
            format: file.format.into(),
            sha256: file.sha256.clone(),
            notes: file.notes.clone(),
            ..Report::default()
        }
    }

    /// One line: how much was taken, and from where.
    pub fn brief(&self) -> String {
        let mut line = format!("{}: {} tensors from {}", self.network, self.loaded.len(), self.file);
        let counts = [
            (self.reinitialised.len(), "of another shape, drawn anew"),
            (self.fresh.len(), "fresh"),
            (self.unused.len(), "not used"),
        ];
        for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
            line += &format!(", {count} {what}");
        }
        line
    }

    /// All of it, in lines.
    pub fn full(&self) -> String {
        let mut lines = vec![self.brief(), format!("  {}, sha256 {}", self.format, self.sha256)];
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines.extend(self.loaded.iter().map(|(path, name)| format!("  {path} <- {}", super::shown(name))));
        lines.extend(self.reinitialised.iter().map(|what| format!("  drawn anew: {what}")));
        lines.extend(self.fresh.iter().map(|path| format!("  fresh: {path}")));
        lines.extend(self.unused.iter().map(|name| format!("  not used: {}", super::shown(name))));
        if self.others > 0 {
            lines.push(format!("  {} more tensors belong to other parts of the model in the file", self.others));
        }
        lines.join("\n")
    }
}

/// What to write about parameters without a tensor, and tensors without a parameter: rules for pairs that look alike, `unused` and
/// `fresh` for the rest.
pub(super) fn suggestions(missing: &[(String, Vec<usize>)], spare: &[(&str, &[usize])]) -> Vec<String> {
    let ones = |dims: &[usize]| -> Vec<usize> { dims.iter().copied().filter(|&d| d != 1).collect() };
    let last = |name: &str| name.rsplit('.').next().map(str::to_string);
    let mut rules: Vec<String> = vec![];
    for (path, dims) in missing {
        let alike = |(name, own): &&(&str, &[usize])| ones(own) == ones(dims) && last(name) == last(path);
        let best = spare.iter().filter(alike).min_by_key(|(name, _)| strsim::damerau_levenshtein(name, path));
        if let Some((name, _)) = best {
            let rule = general(name.strip_prefix("module.").unwrap_or(name), path);
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        if rules.len() == 3 {
            break;
        }
    }
    let listed = |all: &[String]| all.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ");
    if !rules.is_empty() {
        return vec![format!("if these are the same, say so: `file(…, rename: [{}])`", listed(&rules))];
    }
    // A few are named one by one; a pattern for many may take in what is wanted, and has to be looked at.
    let firsts = |names: &[&str]| {
        let mut firsts: Vec<String> = vec![];
        if names.len() <= 3 {
            return names.iter().map(ToString::to_string).collect();
        }
        for name in names {
            let first = name.split_once('.').map_or(name.to_string(), |(first, _)| format!("{first}.*"));
            if !firsts.contains(&first) && firsts.len() < 4 {
                firsts.push(first);
            }
        }
        firsts
    };
    let mut help = vec![];
    if !spare.is_empty() {
        let list =
            firsts(&spare.iter().map(|(name, _)| name.strip_prefix("module.").unwrap_or(name)).collect::<Vec<_>>());
        help.push(format!("leave tensors of the file out with `file(…, unused: [{}])`", listed(&list)));
    }
    if !missing.is_empty() {
        let list = firsts(&missing.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>());
        help.push(format!("let parameters begin anew with `file(…, fresh: [{}])`", listed(&list)));
    }
    help
}

/// A rule for a pair of names: with `*` for the ending that they share, and for their numbers where these are the same.
fn general(name: &str, path: &str) -> String {
    let (from, to): (Vec<&str>, Vec<&str>) = (name.split('.').collect(), path.split('.').collect());
    let numbers = |segments: &[&str]| -> Vec<String> {
        segments.iter().filter(|s| s.bytes().all(|b| b.is_ascii_digit())).map(|s| s.to_string()).collect()
    };
    let same_numbers = numbers(&from) == numbers(&to);
    let ends = from.len() > 1 && to.len() > 1 && from.last() == to.last();
    let write = |segments: &[&str]| {
        let star = |(i, s): (usize, &&str)| {
            let number = same_numbers && !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
            if number || (ends && i + 1 == segments.len()) { "*".to_string() } else { s.to_string() }
        };
        segments.iter().enumerate().map(star).collect::<Vec<_>>().join(".")
    };
    format!("{} -> {}", write(&from), write(&to))
}
