//! Chains of layers, written out: blocks and repetitions replaced by what they stand for, every layer with its path.
//!
//! Paths: a backbone, a head and a named stage add their name; in a chain of several steps each step adds its label or its
//! position from 0; a repetition adds the number of the copy. A block adds nothing of its own.

use super::bind::{Binder, Layers, Scope, at_most};
use super::catalog::kind_of;
use crate::base::signature::{Args, Call, PartKind, Value, with_article};
use crate::base::{Diagnostic, Source, Span};
use crate::parts::backbones;
use crate::parts::layers::{self, Layer};
use crate::syntax::ast::{Argument, BlockParam, Body, Expr, ExprKind, Name, Stage, Step};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Layers with their paths.
#[derive(Clone)]
pub enum Tree {
    /// Steps one behind the other. The path is that of the whole, and names its result.
    Chain {
        path: String,
        steps: Vec<Tree>,
    },
    Layer(Rc<LayerNode>),
}

/// One layer with its bound arguments.
pub struct LayerNode {
    pub path: String,
    pub layer: &'static dyn Layer,
    pub args: Args,
    /// The arguments that are layers, in the order of their numbers.
    pub chains: Vec<Tree>,
    /// Whether the next layer is `norm` or `batch_norm`.
    pub before_norm: bool,
    /// The layer as the spec wrote it, shortened, for messages.
    pub text: String,
    /// Its place in the spec; of a layer of the library that of the call.
    pub span: Span,
    /// Its place in the text that it was written in, the spec's or the library's.
    pub origin: Span,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.path())
    }
}

impl Tree {
    pub fn path(&self) -> &str {
        match self {
            Tree::Chain { path, .. } => path,
            Tree::Layer(node) => &node.path,
        }
    }

    /// The first layer that runs.
    pub fn first(&self) -> Option<&LayerNode> {
        match self {
            Tree::Chain { steps, .. } => steps.iter().find_map(Tree::first),
            Tree::Layer(node) => Some(node),
        }
    }

    fn starts_with_norm(&self) -> bool {
        self.first().is_some_and(|node| ["norm", "batch_norm"].contains(&node.layer.signature().name))
    }

    /// Tells the last layer that a norm over the batch follows, or what may be one.
    fn mark_before_norm(&mut self) {
        match self {
            Tree::Chain { steps, .. } => {
                if let Some(last) = steps.last_mut() {
                    last.mark_before_norm();
                }
            }
            Tree::Layer(node) => {
                if let Some(node) = Rc::get_mut(node) {
                    node.before_norm = true;
                }
            }
        }
    }
}

/// A declared block.
pub struct Block<'a> {
    pub params: &'a [BlockParam],
    pub body: &'a Body,
    pub name: &'a Name,
    /// Whether a network uses it.
    pub used: std::cell::Cell<bool>,
}

/// What other libraries call some layers.
const ELSEWHERE: &[(&str, &str)] = &[
    ("bn", "norm"),
    ("conv2d", "conv"),
    ("convtranspose2d", "conv_transpose"),
    ("deconv", "conv_transpose"),
    ("dense", "linear"),
    ("fc", "linear"),
    ("gap", "global_pool"),
    ("global_average_pool", "global_pool"),
    ("interpolate", "upsample"),
    ("lrelu", "leaky_relu"),
    ("multihead_attention", "attention"),
    ("skip", "residual"),
    ("swish", "silu"),
    ("transformer", "encoder"),
    ("view", "reshape"),
];

/// The most layers of a network, and the deepest nesting of blocks: far beyond what is trained, and finite.
const MOST_LAYERS: usize = 20_000;
const DEEPEST: usize = 32;

/// A library backbone where a network uses it.
#[derive(Clone, Debug)]
pub struct Published {
    /// Where its layers are.
    pub path: String,
    /// Its name and arguments.
    pub call: Call,
}

pub struct Expander<'a, 'b> {
    pub source: &'a Source,
    pub blocks: &'b BTreeMap<String, Block<'a>>,
    pub binder: &'b mut Binder,
    /// The library backbones that were used.
    pub published: Vec<Published>,
    pub(super) layers: usize,
    depth: usize,
    /// The call that these layers stand for, when they are not the spec's own: their place in messages.
    stands_for: Option<Span>,
}

impl<'a, 'b> Expander<'a, 'b> {
    pub fn new(source: &'a Source, blocks: &'b BTreeMap<String, Block<'a>>, binder: &'b mut Binder) -> Self {
        Self { source, blocks, binder, published: vec![], layers: 0, depth: 0, stands_for: None }
    }

    /// For the text of a library backbone, in whose place the call stands.
    pub fn within<'c>(
        outer: &'c mut Expander<'_, '_>,
        source: &'a Source,
        blocks: &'c BTreeMap<String, Block<'a>>,
        call: Span,
    ) -> Expander<'a, 'c> {
        let (layers, depth) = (outer.layers, outer.depth);
        Expander { layers, depth, stands_for: Some(call), ..Expander::new(source, blocks, outer.binder) }
    }

    pub fn body(&mut self, body: &'a Body, path: &str, scope: &Scope) -> Option<Tree> {
        match body {
            Body::Chain(expr) => self.layers(Layers::Expr(expr), path, scope),
            Body::Stages(stages) => self.layers(Layers::Stages(stages), path, scope),
        }
    }

    fn layers(&mut self, layers: Layers<'a>, path: &str, scope: &Scope) -> Option<Tree> {
        match layers {
            Layers::Stages(stages) => self.stages(stages, path, scope),
            Layers::Expr(expr) => match &expr.kind {
                ExprKind::Chain(steps) => self.chain(steps, path, scope),
                ExprKind::Group(inner) => self.layers(Layers::Expr(inner), path, scope),
                ExprKind::Path(name) => self.named(expr, &name.to_string(), name.span, &[], None, path, scope),
                ExprKind::Call { name, arguments, stages } => {
                    self.named(expr, &name.to_string(), name.span, arguments, stages.as_deref(), path, scope)
                }
                _ => {
                    let help = match expr.kind {
                        ExprKind::Binary { .. } => {
                            "`residual` adds what goes in to what comes out, and `concat` joins branches"
                        }
                        _ => "a layer is a name or a call, such as `relu` or `linear(10)`",
                    };
                    self.binder.report(Diagnostic::error("expected a layer").at(expr.span).help(help));
                    None
                }
            },
        }
    }

    fn stages(&mut self, stages: &'a [Stage], path: &str, scope: &Scope) -> Option<Tree> {
        let named = stages.iter().map(|s| (Some(&s.name), &s.body));
        self.sequence(named, path, scope)
    }

    fn chain(&mut self, steps: &'a [Step], path: &str, scope: &Scope) -> Option<Tree> {
        let named = steps.iter().map(|s| (s.label.as_ref(), &s.expr));
        self.sequence(named, path, scope)
    }

    fn sequence(
        &mut self,
        steps: impl Iterator<Item = (Option<&'a Name>, &'a Expr)>,
        path: &str,
        scope: &Scope,
    ) -> Option<Tree> {
        let mut trees: Vec<Option<Tree>> = vec![];
        let mut names: BTreeMap<&str, Span> = BTreeMap::new();
        for (i, (name, expr)) in steps.enumerate() {
            let step = name.map_or_else(|| i.to_string(), |n| n.text.clone());
            if let Some(name) = name
                && let Some(first) = names.insert(&name.text, name.span)
            {
                let diagnostic = Diagnostic::error(format!("two steps are named `{}`", name.text));
                self.binder.report(diagnostic.at(name.span).label(first, "the first one"));
            }
            trees.push(self.layers(Layers::Expr(expr), &format!("{path}.{step}"), scope));
        }
        let mut steps = trees.into_iter().collect::<Option<Vec<Tree>>>()?;
        for i in 1..steps.len() {
            if steps[i].starts_with_norm() {
                steps[i - 1].mark_before_norm();
            }
        }
        Some(Tree::Chain { path: path.into(), steps })
    }

    /// A layer or a block, by name.
    #[allow(clippy::too_many_arguments, reason = "the parts of one call expression, taken apart once by the caller")]
    fn named(
        &mut self,
        expr: &'a Expr,
        name: &str,
        name_span: Span,
        arguments: &'a [Argument],
        stages: Option<&'a [Stage]>,
        path: &str,
        scope: &Scope,
    ) -> Option<Tree> {
        self.layers += 1;
        if self.layers == MOST_LAYERS {
            self.binder.report(Diagnostic::error(format!("more than {MOST_LAYERS} layers")).at(expr.span));
        }
        if self.layers >= MOST_LAYERS {
            return None;
        }
        if let Some(block) = self.blocks.get(name) {
            block.used.set(true);
            return self.block(block, expr.span, arguments, stages, path, scope);
        }
        if let Some((backbone, _)) = backbones::find(name) {
            let bound = self.binder.call(backbone.signature, arguments, stages, expr.span, scope)?;
            return self.backbone(bound.call, path);
        }
        let Some(layer) = layers::find(name) else {
            let known: Vec<&str> = layers::LAYERS.iter().map(|l| l.signature().name).collect();
            let known = known.into_iter().chain(self.blocks.keys().map(String::as_str));
            let known = known.chain(backbones::all().map(|(b, _)| b.signature.name));
            let diagnostic = Diagnostic::error(format!("there is no layer or block `{name}`")).at(name_span);
            let diagnostic = match crate::base::diagnostic::closest(name, known) {
                Some(best) if !ELSEWHERE.iter().any(|(other, _)| *other == name.to_lowercase()) => {
                    diagnostic.help(format!("did you mean `{best}`?"))
                }
                _ => match ELSEWHERE.iter().find(|(other, _)| *other == name.to_lowercase()) {
                    Some((_, here)) => diagnostic.help(format!("here it is called `{here}`")),
                    None => match kind_of(name) {
                        Some(PartKind::Loss) => {
                            diagnostic.help(format!("`{name}` is a loss; it stands behind `minimize`"))
                        }
                        Some(kind) => diagnostic.help(format!("`{name}` is {}", with_article(kind.noun()))),
                        None => diagnostic.help("`mtlc explain layers` lists the layers"),
                    },
                },
            };
            self.binder.report(diagnostic);
            return None;
        };
        let bound = self.binder.call(layer.signature(), arguments, stages, expr.span, scope)?;
        if layer.signature().kind == PartKind::Layer && layer.signature().name == "repeat" {
            let copies = (0..bound.call.args.size("times"))
                .map(|i| self.layers(bound.chains[0], &format!("{path}.{i}"), scope))
                .collect::<Option<Vec<Tree>>>()?;
            return Some(Tree::Chain { path: path.into(), steps: copies });
        }
        let several = bound.call.args.0.values().any(|arg| matches!(arg.value, Value::List(_)));
        let mut chains = vec![];
        for (i, chain) in bound.chains.iter().enumerate() {
            let param = bound.call.args.0.iter().find(|(_, arg)| arg.value == Value::Chain(i)).map(|(name, _)| *name);
            let path = match param {
                _ if several => format!("{path}.{i}"),
                Some("body") | None => path.to_string(),
                Some(param) => format!("{path}.{param}"),
            };
            chains.push(self.layers(*chain, &path, scope)?);
        }
        let mut args = bound.call.args;
        if let Some(span) = self.stands_for {
            args.0.values_mut().for_each(|arg| arg.span = span);
        }
        Some(Tree::Layer(Rc::new(LayerNode {
            path: path.into(),
            layer,
            args,
            chains,
            before_norm: false,
            text: shorten(self.source.slice(expr.span)),
            span: self.stands_for.unwrap_or(expr.span),
            origin: expr.span,
        })))
    }

    fn block(
        &mut self,
        block: &Block<'a>,
        span: Span,
        arguments: &'a [Argument],
        stages: Option<&'a [Stage]>,
        path: &str,
        scope: &Scope,
    ) -> Option<Tree> {
        let name = &block.name.text;
        if stages.is_some() {
            self.binder.report(Diagnostic::error(format!("the block `{name}` takes no layers in braces")).at(span));
            return None;
        }
        let mut inner = Scope::new();
        let mut wrong = false;
        for (i, argument) in arguments.iter().enumerate() {
            let param = match &argument.name {
                Some(given) => block.params.iter().find(|p| p.name.text == given.text),
                None => block.params.get(i),
            };
            let Some(param) = param else {
                let known = block.params.iter().map(|p| p.name.text.as_str());
                let diagnostic = match &argument.name {
                    Some(given) => Diagnostic::error(format!("the block `{name}` has no parameter `{}`", given.text))
                        .label(given.span, "")
                        .suggest(&given.text, known),
                    None => Diagnostic::error(at_most(&format!("the block `{name}`"), block.params.len()))
                        .label(argument.value.span, "one too many"),
                };
                self.binder.report(diagnostic.label(block.name.span, "the block"));
                wrong = true;
                continue;
            };
            let value = self.binder.value(&argument.value, scope);
            wrong |= value.is_none();
            if let Some(value) = value
                && inner.insert(param.name.text.clone(), value).is_some()
            {
                self.binder
                    .report(Diagnostic::error(format!("`{}` is given twice", param.name.text)).at(argument.value.span));
                wrong = true;
            }
        }
        for param in block.params {
            if wrong || inner.contains_key(&param.name.text) {
                continue;
            }
            let Some(default) = &param.default else {
                let message = format!("the block `{name}` needs `{}`", param.name.text);
                self.binder.report(Diagnostic::error(message).at(span).label(param.name.span, "it has no default"));
                wrong = true;
                continue;
            };
            // A default may use the parameters before it.
            let value = self.binder.value(default, &inner.clone())?;
            inner.insert(param.name.text.clone(), value);
        }
        if wrong {
            return None;
        }
        if self.depth == DEEPEST {
            let diagnostic =
                Diagnostic::error(format!("the block `{name}` contains itself, or blocks nest too deeply"));
            let diagnostic = diagnostic.at(span).label(block.name.span, "the block");
            self.binder.report(diagnostic.help("several copies in a row are `repeat(times, …)`"));
            return None;
        }
        self.depth += 1;
        let tree = self.body(block.body, path, &inner);
        self.depth -= 1;
        tree
    }
}

/// The text on one line, and no longer than a message wants it.
fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(48) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
