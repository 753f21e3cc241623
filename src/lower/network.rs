//! The layers of a backbone or head, built one behind the other, with a trail of shapes for messages.

use super::mixup;
use crate::base::{DType, Diagnostic, Diagnostics, Span, Type};
use crate::graph::{Builder, Mode, ValueId, Winograd};
use crate::model::{LayerNode, Model, Network, Tree};
use crate::ops::{Mismatch, concat::Concat};
use crate::parts::cell::{Cell, Fault, Host, Policy};
use std::cell::RefCell;
use std::collections::HashMap;

pub struct Lowering<'a> {
    model: &'a Model,
    epoch: u64,
    pub graph: Builder,
    /// The result of every network, stage and step, by path.
    pub values: HashMap<String, ValueId>,
    pub diagnostics: Diagnostics,
    /// Path and kind of every layer that was built, the implicit ones too.
    pub seen: RefCell<Vec<(String, String)>>,
    /// What the current network passed through, and the shape behind it.
    trail: Vec<(String, Type)>,
}

/// Steps of the trail that a message shows.
const TRAIL: usize = 8;

impl<'a> Lowering<'a> {
    pub fn new(model: &'a Model, mode: Mode, epoch: u64) -> Self {
        let mut graph = Builder::new(&model.name, mode);
        if let Some(largest) = Winograd::named(model.train.text("winograd")).filter(|_| mode == Mode::Train) {
            graph.winograd(largest);
        }
        Self {
            model,
            epoch,
            graph,
            values: HashMap::new(),
            diagnostics: Diagnostics::default(),
            seen: RefCell::default(),
            trail: vec![],
        }
    }

    /// Builds one network; its result is known by its name, or what is wrong is reported.
    pub fn network(&mut self, network: &Network) {
        let mut sources = vec![];
        for source in &network.sources {
            let value = match self.model.inputs.iter().find(|i| i.name == source.path) {
                Some(input) => match mixup::input(self.model, &mut self.graph, input) {
                    Ok(value) => Some(value),
                    Err(diagnostic) => {
                        self.diagnostics.push(diagnostic);
                        return;
                    }
                },
                None => self.values.get(&source.path).copied(),
            };
            let Some(value) = value else {
                self.missing_tap(&source.path, source.span);
                return;
            };
            sources.push((source.path.clone(), value));
        }
        let Some(x) = self.join(&sources, network.span) else { return };
        let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
        self.trail = vec![(names.join(", "), self.graph.ty(x).clone())];
        let mut graph = std::mem::replace(&mut self.graph, Builder::new("", Mode::Eval));
        let result = self.tree(&mut graph, &network.body, x);
        self.graph = graph;
        if let Ok(value) = result {
            self.values.insert(network.name.clone(), value);
        }
    }

    /// A tap that is not there: of a network that failed (which was reported), or a slip.
    fn missing_tap(&mut self, path: &str, span: Span) {
        let network = path.split('.').next().unwrap_or(path);
        if !self.values.contains_key(network) {
            return;
        }
        let mut known: Vec<&str> =
            self.values.keys().map(String::as_str).filter(|k| k.starts_with(&format!("{network}."))).collect();
        known.sort_unstable();
        let diagnostic = Diagnostic::error(format!("`{network}` has no stage or step `{path}`")).at(span);
        self.diagnostics.push(diagnostic.suggest(path, known.into_iter().filter(|k| k.matches('.').count() < 2)));
    }

    /// Several sources become one value, side by side along the features.
    fn join(&mut self, sources: &[(String, ValueId)], span: Span) -> Option<ValueId> {
        let values: Vec<ValueId> = sources.iter().map(|(_, v)| *v).collect();
        if let [value] = values[..] {
            return Some(value);
        }
        let axis = if self.graph.ty(values[0]).rank() == 3 { 2 } else { 1 };
        match self.graph.op(Concat { axis }, &values, &sources[0].0) {
            Ok(value) => Some(value),
            Err(mismatch) => {
                let shapes: Vec<String> =
                    sources.iter().map(|(n, v)| format!("`{n}` {}", self.graph.ty(*v).example())).collect();
                let diagnostic =
                    Diagnostic::error("what is read together cannot be joined along the features").at(span);
                let diagnostic = diagnostic.note(shapes.join(", ")).note(mismatch.message);
                let help = match self.graph.ty(values[0]).rank() {
                    4 => "bring them to one size first, with a stride, a pool or `upsample`",
                    _ => "bring them to one shape first, such as a vector each with `global_pool` or `flatten`",
                };
                self.diagnostics.push(diagnostic.help(help));
                None
            }
        }
    }

    fn tree(&mut self, graph: &mut Builder, tree: &Tree, x: ValueId) -> Result<ValueId, Fault> {
        let y = match tree {
            Tree::Chain { steps, .. } => steps.iter().try_fold(x, |x, step| self.tree(graph, step, x))?,
            Tree::Layer(node) => self.layer(graph, node, x)?,
        };
        self.values.insert(tree.path().into(), y);
        Ok(y)
    }

    fn layer(&mut self, graph: &mut Builder, node: &LayerNode, x: ValueId) -> Result<ValueId, Fault> {
        let input = graph.ty(x).clone();
        let name = node.layer.signature().name;
        if input.dtype == DType::I64 && name != "embedding" {
            let mismatch = Mismatch::new(format!("`{name}` computes with numbers, and gets token ids"))
                .help("begin with `embedding(vocabulary, width)`");
            return Err(self.mismatch(node, mismatch, &input));
        }
        if input.dtype == DType::F32 && name == "embedding" {
            let mismatch = Mismatch::new("`embedding` takes token ids, and gets numbers")
                .help("declare the input as `tokens[length]`, or use `linear`");
            return Err(self.mismatch(node, mismatch, &input));
        }
        let policy = self.policy(&node.path, node.layer.kind());
        let before = self.trail.len();
        let result = {
            let mut host = Inside { lowering: self, node };
            let mut cell = Cell {
                graph,
                host: &mut host,
                args: &node.args,
                kind: node.layer.kind().into(),
                path: node.path.clone(),
                policy,
                before_norm: node.before_norm,
            };
            node.layer.build(&mut cell, x)
        };
        match result {
            Ok(y) => {
                self.trail.truncate(before);
                self.trail.push((node.text.clone(), graph.ty(y).clone()));
                Ok(y)
            }
            Err(Fault::Mismatch(mismatch)) => {
                self.trail.truncate(before);
                Err(self.mismatch(node, mismatch, &input))
            }
            Err(Fault::Reported) => Err(Fault::Reported),
        }
    }

    /// Reports why a layer cannot be built, with the shapes that led there.
    fn mismatch(&mut self, node: &LayerNode, mismatch: Mismatch, input: &Type) -> Fault {
        let skipped = self.trail.len().saturating_sub(TRAIL);
        let mut lines: Vec<String> = vec![];
        let width = self.trail[skipped..].iter().map(|(text, _)| text.chars().count()).max().unwrap_or(0);
        let width = width.max(node.text.chars().count());
        for (i, (text, ty)) in self.trail.iter().enumerate().skip(skipped) {
            let arrow = if i == 0 { "  " } else { "->" };
            lines.push(format!("{arrow} {text:<width$}  {}", ty.example()));
        }
        if skipped > 0 {
            lines.insert(0, format!("   … {skipped} steps"));
        }
        let end = if node.chains.is_empty() { "does not take" } else { "fails behind" };
        lines.push(format!("-> {:<width$}  {end} {}", node.text, input.example()));
        let diagnostic = Diagnostic::error(mismatch.message)
            .label(node.span, format!("gets {}", input.example()))
            .note(format!("the shapes on the way to `{}`:\n{}", node.path, lines.join("\n")));
        self.diagnostics.push(mismatch.help.into_iter().fold(diagnostic, Diagnostic::help));
        Fault::Reported
    }

    fn policy(&self, path: &str, kind: &str) -> Policy {
        self.seen.borrow_mut().push((path.into(), kind.into()));
        self.model.policy(path, kind, self.epoch)
    }
}

/// The lowering as a layer sees it: with the layer's own chains.
struct Inside<'l, 'a> {
    lowering: &'l mut Lowering<'a>,
    node: &'l LayerNode,
}

impl Host for Inside<'_, '_> {
    fn chain(&mut self, graph: &mut Builder, chain: usize, x: ValueId) -> Result<ValueId, Fault> {
        // Each chain starts from what came before the layer, not from another chain.
        let before = self.lowering.trail.len();
        let y = self.lowering.tree(graph, &self.node.chains[chain], x)?;
        self.lowering.trail.truncate(before);
        Ok(y)
    }

    fn policy(&self, path: &str, kind: &str) -> Policy {
        self.lowering.policy(path, kind)
    }
}
