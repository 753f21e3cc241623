//! Which tensor of a file becomes which parameter of a network: names, rules that rename, and every difference told.
//!
//! A rule `from -> to` matches names of the file, with `*` for any text; `to` is a path below the network, and its `*` are what
//! those of `from` stood for, in order. `from[1/3]` takes the second third along the first axis. Several rules may match a tensor,
//! and each gives a path. A name that no rule matches stands for itself, without a leading `module.` and without the network's own
//! name. Nothing is loaded in part: either every difference is explained, or all of them are told and nothing is taken.

use super::report::{Report, suggestions};
use super::{Array, TensorFile, shown};
use crate::base::{Diagnostic, Result};
use indexmap::IndexMap;
use std::collections::HashSet;

/// What is said about a file of weights beside its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub rename: Vec<Rule>,
    /// Tensors of the file that are not wanted.
    pub unused: Vec<Pattern>,
    /// Parameters, by their paths below the network, that keep their first values.
    pub fresh: Vec<Pattern>,
    /// Whether each must match something. Rules that a person writes must; those of a library serve several files.
    pub must_match: bool,
}

/// A text with `*` for any text.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(String);

/// `from -> to`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    from: Pattern,
    /// The part along the first axis that is meant, and of how many.
    part: Option<(usize, usize)>,
    to: String,
}

impl Pattern {
    pub fn new(text: &str) -> Pattern {
        Pattern(text.trim().to_string())
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// What each `*` stands for, if the text matches: the first ones for as little as possible.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let mut pieces = self.0.split('*');
        let mut rest = text.strip_prefix(pieces.next()?)?;
        let mut pieces = pieces.peekable();
        let mut captures = vec![];
        while let Some(piece) = pieces.next() {
            let at = if pieces.peek().is_none() {
                rest.ends_with(piece).then(|| rest.len() - piece.len())?
            } else {
                rest.find(piece)?
            };
            captures.push(&rest[..at]);
            rest = &rest[at + piece.len()..];
        }
        rest.is_empty().then_some(captures)
    }

    fn stars(&self) -> usize {
        self.0.matches('*').count()
    }
}

impl Rule {
    /// A rule as a spec writes it, or what is wrong with it.
    pub fn parse(text: &str) -> std::result::Result<Rule, String> {
        let (from, to) = text.split_once("->").ok_or("a rule is `from -> to`")?;
        let (mut from, to) = (from.trim(), to.trim().to_string());
        let mut part = None;
        if let Some((name, inside)) = from.strip_suffix(']').and_then(|f| f.rsplit_once('[')) {
            let numbers =
                inside.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
            let (i, n): (usize, usize) = numbers.ok_or("a part is `[0/3]`: the first third along the first axis")?;
            if i >= n {
                return Err(format!("there is no part {i} of {n}: parts count from 0"));
            }
            (from, part) = (name.trim(), Some((i, n)));
        }
        let rule = Rule { from: Pattern::new(from), part, to };
        if from.is_empty() || rule.to.is_empty() {
            return Err("a rule is `from -> to`".into());
        }
        if rule.from.stars() != rule.to.matches('*').count() {
            return Err("both sides of a rule have the same number of `*`".into());
        }
        Ok(rule)
    }

    pub fn text(&self) -> String {
        let part = self.part.map_or(String::new(), |(i, n)| format!("[{i}/{n}]"));
        format!("{}{part} -> {}", self.from.0, self.to)
    }

    /// The path that the rule gives a name.
    fn path(&self, name: &str) -> Option<String> {
        let captures = self.from.captures(name)?;
        let mut pieces = self.to.split('*');
        let mut path = pieces.next().unwrap_or_default().to_string();
        for (piece, capture) in pieces.zip(captures) {
            path += capture;
            path += piece;
        }
        Some(path)
    }
}

/// Parameters of a network and the tensors that become them.
pub struct Assigned {
    /// By path, with the network's name: the numbers, in the shape of the parameter.
    pub values: Vec<(String, Vec<f32>)>,
    pub report: Report,
}

/// A tensor on its way to a parameter.
struct Source<'f> {
    name: &'f str,
    part: Option<(usize, usize)>,
    array: &'f Array,
}

impl Source<'_> {
    /// Sizes of what is taken, if the tensor has such a part.
    fn dims(&self) -> Option<Vec<usize>> {
        let mut dims = self.array.dims.clone();
        if let Some((_, n)) = self.part {
            let first = dims.first_mut().filter(|d| d.is_multiple_of(n))?;
            *first /= n;
        }
        Some(dims)
    }

    fn values(&self) -> Vec<f32> {
        let (i, n) = self.part.unwrap_or((0, 1));
        let size = self.array.data.len() / n;
        self.array.data[i * size..(i + 1) * size].to_vec()
    }

    fn shown(&self) -> String {
        let part = self.part.map_or(String::new(), |(i, n)| format!("[{i}/{n}]"));
        format!("`{}`{part} {:?}", shown(self.name), self.array.dims)
    }
}

/// Finds the tensor of a file for each parameter of a network.
///
/// `parameters` are all parameters below `network.`, by path with their sizes. Sizes fit when they differ by axes of size 1 only.
/// Where `may_differ`, as for heads, whose classes differ from task to task, parameters of another shape keep their first values,
/// and the report says so.
pub fn assign(
    file: &TensorFile,
    rules: &Rules,
    network: &str,
    parameters: &[(String, Vec<usize>)],
    may_differ: bool,
) -> Result<Assigned> {
    let own = format!("{network}.");
    let below = |path: &str| path.strip_prefix(&own).unwrap_or(path).to_string();
    let bare = |name: &'_ str| -> String { name.strip_prefix("module.").unwrap_or(name).to_string() };
    let known: HashSet<&str> = parameters.iter().map(|(path, _)| path.as_str()).collect();
    // What a name or the second side of a rule is below the network. A stage may have the network's own name.
    let place = |name: &str| match name.strip_prefix(&own) {
        Some(rest) if !known.contains(format!("{own}{name}").as_str()) => rest.to_string(),
        _ => name.to_string(),
    };
    let mut problems = vec![];
    let mut report = Report::of(file, network);
    // A file that knows parameters by their whole paths is of a whole model, whose other parts are not meant.
    let whole_model = rules.rename.is_empty() && file.tensors.keys().any(|name| known.contains(bare(name).as_str()));
    let mut sources: IndexMap<String, Vec<Source>> = IndexMap::new();
    for (name, array) in &file.tensors {
        let bare = bare(name);
        if bare.ends_with("num_batches_tracked") {
            continue;
        }
        let renamed: Vec<(String, Option<(usize, usize)>)> = rules
            .rename
            .iter()
            .filter_map(|rule| Some((rule.path(name).or_else(|| rule.path(&bare))?, rule.part)))
            .collect();
        let unwanted = || rules.unused.iter().any(|p| p.captures(name).or_else(|| p.captures(&bare)).is_some());
        if renamed.is_empty() {
            if unwanted() {
                report.unused.push(name.clone());
            } else if whole_model && !bare.starts_with(&own) {
                report.others += 1;
            } else {
                sources.entry(place(&bare)).or_default().push(Source { name, part: None, array });
            }
        }
        for (path, part) in renamed {
            sources.entry(place(&path)).or_default().push(Source { name, part, array });
        }
    }
    let mut values = vec![];
    let mut missing = vec![];
    for (path, dims) in parameters {
        let found = sources.swap_remove(&below(path));
        if rules.fresh.iter().any(|pattern| pattern.captures(&below(path)).is_some()) {
            report.fresh.push(path.clone());
            report.unused.extend(found.into_iter().flatten().map(|source| source.name.to_string()));
            continue;
        }
        let Some(found) = found else {
            missing.push((below(path), dims.clone()));
            continue;
        };
        let [source] = &found[..] else {
            let names: Vec<String> = found.iter().map(Source::shown).collect();
            problems.push(format!("`{path}` is given by {}", names.join(" and by ")));
            continue;
        };
        match source.dims() {
            Some(given) if without_ones(&given) == without_ones(dims) => {
                values.push((path.clone(), source.values()));
                report.loaded.push((path.clone(), source.name.to_string()));
            }
            Some(given) if may_differ => {
                report.reinitialised.push(format!("{path}: {given:?} in the file, {dims:?} here"))
            }
            Some(_) => problems.push(format!("{} is meant for `{path}`, which is {dims:?}", source.shown())),
            None => problems.push(format!("{} cannot be cut into equal parts", source.shown())),
        }
    }
    for (path, dims) in &missing {
        let skipped = file.entries.iter().find(|e| !e.is_kept() && place(&bare(&e.name)) == *path);
        problems.push(match skipped {
            Some(entry) => format!(
                "`{own}{path}` {dims:?} is missing: the file has it as {}, which is no parameter",
                entry.dtype.name()
            ),
            None => format!("`{own}{path}` {dims:?} is missing"),
        });
    }
    let spare: Vec<(&str, &str, &[usize])> =
        sources.iter().flat_map(|(path, all)| all.iter().map(|s| (path.as_str(), s.name, &s.array.dims[..]))).collect();
    for (path, name, dims) in &spare {
        let meant = if place(&bare(name)) == *path { String::new() } else { format!(" as `{own}{path}`") };
        problems.push(format!("`{}` {dims:?} has no place in the model{meant}", shown(name)));
    }
    problems.extend(idle(file, rules, parameters, &below));
    if problems.is_empty() {
        return Ok(Assigned { values, report });
    }
    let diagnostic = Diagnostic::error(format!("the weights do not fit `{network}`")).place(file.name.clone());
    let (shown, more) = (8, problems.len().saturating_sub(8));
    let mut diagnostic = problems.into_iter().take(shown).fold(diagnostic, Diagnostic::note);
    if more > 0 {
        diagnostic = diagnostic.note(format!("and {more} more"));
    }
    let spare: Vec<(&str, &[usize])> = spare.iter().map(|(_, name, dims)| (*name, *dims)).collect();
    Err(suggestions(&missing, &spare).into_iter().fold(diagnostic, Diagnostic::help).into())
}

fn without_ones(dims: &[usize]) -> Vec<usize> {
    dims.iter().copied().filter(|&d| d != 1).collect()
}

/// Rules and patterns that match nothing: slips, most likely.
fn idle(
    file: &TensorFile,
    rules: &Rules,
    parameters: &[(String, Vec<usize>)],
    below: &dyn Fn(&str) -> String,
) -> Vec<String> {
    if !rules.must_match {
        return vec![];
    }
    let matches = |pattern: &Pattern| {
        file.entries.iter().any(|e| {
            let bare = e.name.strip_prefix("module.").unwrap_or(&e.name);
            pattern.captures(&e.name).is_some() || pattern.captures(bare).is_some()
        })
    };
    let rename = rules.rename.iter().filter(|rule| !matches(&rule.from));
    let rename = rename.map(|rule| format!("the rule `{}` matches no tensor of the file", rule.text()));
    let unused = rules.unused.iter().filter(|pattern| !matches(pattern));
    let unused = unused.map(|pattern| format!("`{}` of `unused` matches no tensor of the file", pattern.text()));
    let fresh = rules.fresh.iter().filter(|p| !parameters.iter().any(|(path, _)| p.captures(&below(path)).is_some()));
    let fresh = fresh.map(|pattern| format!("`{}` of `fresh` matches no parameter", pattern.text()));
    rename.chain(unused).chain(fresh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_as_little_as_they_can() {
        let captures = |pattern: &str, text: &'static str| Pattern::new(pattern).captures(text);
        assert_eq!(captures("blocks.*.attn.*", "blocks.3.attn.qkv.weight"), Some(vec!["3", "qkv.weight"]));
        assert_eq!(captures("*.weight", "a.weight.weight"), Some(vec!["a.weight"]));
        assert_eq!(captures("a", "a"), Some(vec![]));
        assert_eq!(captures("a*a", "a"), None);
        assert_eq!(captures("*", ""), Some(vec![""]));
        assert_eq!(captures("a*", "ba"), None);
    }

    #[test]
    fn rules_are_read_or_refused() {
        let rule = Rule::parse("blocks.*.qkv.*[1/3] -> layers.*.key.*").unwrap();
        assert_eq!(rule.path("blocks.11.qkv.bias").as_deref(), Some("layers.11.key.bias"));
        assert_eq!((rule.part, rule.text().as_str()), (Some((1, 3)), "blocks.*.qkv.*[1/3] -> layers.*.key.*"));
        for wrong in ["a", "-> a", "a ->", "a.* -> b", "a[3/3] -> b", "a[x] -> b", "a[1/0] -> b"] {
            assert!(Rule::parse(wrong).is_err(), "{wrong}");
        }
    }
}
