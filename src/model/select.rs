//! What `freeze` and `tune` point at, as patterns over paths.

use super::expand::Tree;
use super::{Model, Network, NetworkKind, Tune};
use crate::base::{Diagnostic, Span};
use crate::parts::adapters;
use crate::parts::cell::{Hold, Policy};
use crate::syntax::ast::{Place, Selector};

/// Layers by path and kind.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Any of these patterns, and all below. In a segment `*` stands for any letters; the segment `**` for any segments.
    pub paths: Vec<String>,
    /// Only layers of this kind.
    pub kind: Option<String>,
    pub span: Span,
}

impl Selection {
    /// Whether a layer of that path and kind is meant.
    pub fn contains(&self, path: &str, kind: &str) -> bool {
        self.kind.as_deref().is_none_or(|k| k == kind) && self.paths.iter().any(|p| is_below(path, p))
    }
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(kind) = &self.kind {
            write!(f, "{kind} in ")?;
        }
        f.write_str(&self.paths.join(", "))
    }
}

/// Whether `path` fits `pattern` or lies below what does.
fn is_below(path: &str, pattern: &str) -> bool {
    let (path, pattern): (Vec<&str>, Vec<&str>) = (path.split('.').collect(), pattern.split('.').collect());
    segments_fit(&path, &pattern)
}

fn segments_fit(path: &[&str], pattern: &[&str]) -> bool {
    match pattern {
        [] => true,
        ["**", rest @ ..] => (0..=path.len()).any(|skipped| segments_fit(&path[skipped..], rest)),
        [first, rest @ ..] => {
            path.first().is_some_and(|segment| letters_fit(segment, first)) && segments_fit(&path[1..], rest)
        }
    }
}

/// Whether a segment fits a pattern in which `*` stands for any letters, also none.
pub(super) fn letters_fit(segment: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => segment == pattern,
        Some((before, rest)) => segment.strip_prefix(before).is_some_and(|tail| {
            let cuts = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            cuts.into_iter().any(|at| letters_fit(&tail[at..], rest))
        }),
    }
}

/// What is wrong with the text of a pattern.
fn check_pattern(text: &str, span: Span) -> Result<(), Diagnostic> {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '*';
    let stars = |segment: &str| segment.contains("**") && segment != "**";
    match text.split('.').find(|s| s.is_empty() || !s.chars().all(letter) || stars(s)) {
        None => Ok(()),
        Some(segment) => Err(Diagnostic::error(format!("`{text}` is no pattern of paths"))
            .label(
                span,
                if segment.is_empty() { "a segment is empty".into() } else { format!("because of `{segment}`") },
            )
            .help("`*` stands for any letters of one segment, `**` for any segments: `\"trunk.**.norm*\"`")),
    }
}

/// The selection that a selector means, ranges written out.
pub fn select(selector: &Selector, networks: &[Network]) -> Result<Selection, Diagnostic> {
    let kind = selector.kind.as_ref().map(|k| k.text.clone());
    if let Some(name) = &selector.kind {
        let mut kinds: Vec<&str> = crate::parts::layers::LAYERS.iter().map(|l| l.kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if !kinds.contains(&name.text.as_str()) {
            let diagnostic = Diagnostic::error(format!("there is no kind of layer `{}`", name.text)).at(name.span);
            return Err(diagnostic.suggest(&name.text, kinds));
        }
    }
    let paths = match &selector.place {
        Place::Path(path) => vec![path.to_string()],
        Place::Pattern(text) => {
            check_pattern(text, selector.span)?;
            vec![text.clone()]
        }
        Place::Range(from, to) => {
            let first = from.to_string();
            let found = range(&first, &to.to_string(), networks);
            found.ok_or_else(|| {
                let known: Vec<&str> = networks.iter().flat_map(|n| paths(&n.body)).collect();
                for (path, span) in [(from, from.span), (to, to.span)] {
                    let path = path.to_string();
                    if !known.contains(&path.as_str()) {
                        let near = known.iter().copied().filter(|k| k.split('.').count() <= path.split('.').count());
                        return Diagnostic::error(format!("there is no stage or step `{path}`"))
                            .at(span)
                            .suggest(&path, near);
                    }
                }
                let message = format!("`{first} .. {to}` is no range");
                let diagnostic = Diagnostic::error(message).at(selector.span);
                match range(&to.to_string(), &first, networks) {
                    Some(_) => diagnostic.help(format!("write `{to} .. {first}`")),
                    None => diagnostic.help("both ends are steps of one chain, or stages of one network"),
                }
            })?
        }
    };
    Ok(Selection { paths, kind, span: selector.span })
}

/// Every path of a network.
fn paths(tree: &Tree) -> Vec<&str> {
    let inside = match tree {
        Tree::Chain { steps, .. } => steps.as_slice(),
        Tree::Layer(node) => &node.chains,
    };
    std::iter::once(tree.path()).chain(inside.iter().flat_map(paths)).collect()
}

/// The paths of the steps from one to another, both included.
fn range(from: &str, to: &str, networks: &[Network]) -> Option<Vec<String>> {
    networks.iter().find_map(|n| in_tree(from, to, &n.body))
}

fn in_tree(from: &str, to: &str, tree: &Tree) -> Option<Vec<String>> {
    match tree {
        Tree::Chain { steps, .. } => {
            let at = |path: &str| steps.iter().position(|s| s.path() == path);
            match (at(from), at(to)) {
                (Some(a), Some(b)) if a <= b => Some(steps[a..=b].iter().map(|s| s.path().to_string()).collect()),
                _ => steps.iter().find_map(|s| in_tree(from, to, s)),
            }
        }
        Tree::Layer(node) => node.chains.iter().find_map(|c| in_tree(from, to, c)),
    }
}

impl Model {
    /// What was decided for a layer at an epoch.
    pub fn policy(&self, path: &str, kind: &str, epoch: u64) -> Policy {
        let adapt = self.adapting(path, kind).and_then(|tune| tune.adapt.as_ref()).map(adapters::build);
        Policy { hold: self.hold(path, kind, epoch), adapt }
    }

    /// The `tune` that says how a layer is adapted: the last of those that name it.
    pub fn adapting(&self, path: &str, kind: &str) -> Option<&Tune> {
        self.tunes.iter().rev().find(|tune| tune.adapt.is_some() && tune.selection.contains(path, kind))
    }

    /// How much of a layer is frozen at an epoch, counted from 0. Of several that name it, the one that holds most decides; a
    /// phase that probes holds every backbone.
    pub fn hold(&self, path: &str, kind: &str, epoch: u64) -> Hold {
        let of_backbone = || {
            let network = self.networks.iter().find(|n| path.split('.').next() == Some(&n.name));
            network.is_some_and(|n| n.kind == NetworkKind::Backbone)
        };
        if self.phase(epoch).probes && of_backbone() {
            return Hold::Everything;
        }
        let holds = |f: &&super::Freeze| f.until.is_none_or(|end| epoch < end) && f.selection.contains(path, kind);
        let of_layer = |f: &super::Freeze| if kind == "norm" { f.norm } else { Hold::Everything };
        self.freezes.iter().filter(holds).map(of_layer).max().unwrap_or_default()
    }
}
