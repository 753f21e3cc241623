//! What `freeze` and `tune` point at, as patterns over paths.

use super::expand::Tree;
use super::{Model, Network};
use crate::base::{Diagnostic, Span};
use crate::syntax::ast::Selector;

/// Layers by path and kind.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Any of these paths, and all below. A segment may be `*`.
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

/// Whether `path` is `pattern` or lies below it.
fn is_below(path: &str, pattern: &str) -> bool {
    let mut segments = path.split('.');
    pattern.split('.').all(|p| segments.next().is_some_and(|s| p == "*" || p == s))
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
    let first = selector.path.to_string();
    let paths = match &selector.to {
        None => vec![first],
        Some(to) => {
            let found = range(&first, &to.to_string(), networks);
            found.ok_or_else(|| {
                let known: Vec<&str> = networks.iter().flat_map(|n| paths(&n.body)).collect();
                for (path, span) in [(&selector.path, selector.path.span), (to, to.span)] {
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
    /// Whether a layer is frozen at an epoch, counted from 0.
    pub fn is_frozen(&self, path: &str, kind: &str, epoch: u64) -> bool {
        let holds = |f: &&super::Freeze| f.until.is_none_or(|end| epoch < end);
        self.freezes.iter().filter(holds).any(|f| f.selections.iter().any(|s| s.contains(path, kind)))
    }
}
