//! How deep a layer of a network lies, for rates that fall with the depth.
//!
//! The layers that count are the steps of the network's body, its stages where it has some. A step that is the same block or
//! the same layers several times in a row, as `repeat` makes it, counts as often as they stand there. A norm counts with
//! the layer before it, and a step without parameters not at all.

use super::expand::Tree;
use super::{Model, Network};

impl Model {
    /// How many layers of its network lie behind a layer, and how many the network has. `trains` says whether there are
    /// parameters at a path or below. Nothing for what belongs to no network.
    pub fn depth(&self, layer: &str, trains: impl Fn(&str) -> bool) -> Option<(usize, usize)> {
        let network = self.networks.iter().find(|network| is_below(layer, &network.name))?;
        let mut layers: Vec<Vec<&str>> = vec![];
        for step in steps(network) {
            match layers.last_mut() {
                Some(before) if is_norm(step) => before.push(step.path()),
                _ => layers.push(vec![step.path()]),
            }
        }
        layers.retain(|paths| paths.iter().any(|path| trains(path)));
        let at = layers.iter().position(|paths| paths.iter().any(|path| is_below(layer, path)))?;
        Some((layers.len() - 1 - at, layers.len()))
    }
}

fn steps(network: &Network) -> Vec<&Tree> {
    match &network.body {
        Tree::Chain { steps, .. } => steps.iter().flat_map(taken_apart).collect(),
        layer => vec![layer],
    }
}

/// A step, or the copies that it is made of.
fn taken_apart(tree: &Tree) -> Vec<&Tree> {
    match tree {
        Tree::Chain { steps, .. } if has_copies(tree) => steps.iter().flat_map(taken_apart).collect(),
        _ => vec![tree],
    }
}

/// Whether the same stands in a chain several times in a row, or in a chain inside.
fn has_copies(tree: &Tree) -> bool {
    let Tree::Chain { steps, .. } = tree else { return false };
    // Copies are written out from one place of a text.
    let origin = |tree: &Tree| tree.first().map(|layer| layer.origin);
    let copies = steps.len() > 1 && steps.iter().all(|step| origin(step) == origin(&steps[0]));
    copies || steps.iter().any(has_copies)
}

fn is_norm(tree: &Tree) -> bool {
    matches!(tree, Tree::Layer(node) if node.layer.kind() == "norm")
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
