//! Backbones and heads: what they read, their layers, and where their weights come from.

use super::Resolver;
use crate::base::signature::{Args, Value};
use crate::base::{Diagnostic, Span};
use crate::model::bind::Scope;
use crate::model::expand::Expander;
use crate::model::settings;
use crate::model::{Network, NetworkKind, Port, Reference, Weights, WeightsFrom};
use crate::syntax::ast::{Argument, Body, DeclarationKind, ExprKind, Name};
use crate::weights::{Pattern, Rule, Rules};

impl<'a> Resolver<'a> {
    pub(super) fn networks(&mut self) -> Vec<Network> {
        let file = self.file;
        let mut networks: Vec<Network> = vec![];
        for declaration in &file.declarations {
            let (kind, name, arguments, body) = match &declaration.kind {
                DeclarationKind::Backbone { name, arguments, body } => (NetworkKind::Backbone, name, arguments, body),
                DeclarationKind::Head { name, arguments, body } => (NetworkKind::Head, name, arguments, body),
                _ => continue,
            };
            if let Some(network) = self.network(kind, name, arguments, body, &networks) {
                networks.push(Network { span: declaration.span, ..network });
            }
        }
        networks
    }

    pub(super) fn network(
        &mut self,
        kind: NetworkKind,
        name: &Name,
        arguments: &'a [Argument],
        body: &'a Body,
        above: &[Network],
    ) -> Option<Network> {
        let mut sources = vec![];
        let mut options = vec![];
        for argument in arguments {
            match (&argument.name, &argument.value.kind) {
                (Some(_), _) => options.push(argument.clone()),
                (None, ExprKind::Path(path)) => {
                    let reference = Reference { path: path.to_string(), span: path.span };
                    if self.check_source(&reference, &path.segments[0], above, name.span) {
                        sources.push(reference);
                    }
                }
                _ => self.report(Diagnostic::error("expected the name of what it reads").at(argument.value.span)),
            }
        }
        if arguments.iter().all(|a| a.name.is_some()) {
            let message = format!("`{}` reads nothing", name.text);
            let source = self.names.iter().filter(|(n, _)| **n != name.text);
            let source = source.filter(|(_, (span, what))| *what != "target" && span.start < name.span.start);
            let source = source.max_by_key(|(_, (span, _))| span.start).map_or("…", |(name, _)| name);
            let help = format!("name what it reads: `{}({source})`", name.text);
            self.report(Diagnostic::error(message).at(name.span).help(help));
        }
        let weights = self.weights(&options, name.span);
        let mut expander = Expander::new(self.source, &self.blocks, &mut self.binder);
        let body = expander.body(body, &name.text, &Scope::new())?;
        let published = expander.published;
        Some(Network { name: name.text.clone(), kind, sources, weights: weights?, body, published, span: name.span })
    }

    /// Whether a network may read that name here.
    pub(super) fn check_source(&mut self, reference: &Reference, first: &str, above: &[Network], reader: Span) -> bool {
        let diagnostic = match self.names.get(first) {
            Some((_, "input")) if first == reference.path => return true,
            Some((_, "input")) => Diagnostic::error(format!("the input `{first}` has no parts"))
                .at(reference.span)
                .help(format!("read `{first}`, and pick from it with `slice`")),
            Some((span, "target")) => {
                Diagnostic::error(format!("`{first}` is a target: no part of the model may read it"))
                    .label(reference.span, "")
                    .label(*span, "declared here")
            }
            Some(_) if above.iter().any(|n| n.name == first) => return true,
            Some((span, what)) if span.start > reference.span.start => {
                Diagnostic::error(format!("the {what} `{first}` is declared further down"))
                    .at(reference.span)
                    .label(*span, "here")
                    .help("declare what is read above what reads it")
            }
            Some((span, what)) if *span == reader => {
                Diagnostic::error(format!("the {what} `{first}` reads itself")).at(reference.span)
            }
            // It failed itself, and its own error is enough.
            Some(_) => return false,
            None => {
                let known: Vec<&str> =
                    self.names.iter().filter(|(_, (_, w))| *w != "target").map(|(n, _)| n.as_str()).collect();
                Diagnostic::error(format!("there is no `{first}` to read")).at(reference.span).suggest(first, known)
            }
        };
        self.report(diagnostic);
        false
    }

    #[allow(clippy::option_option, reason = "the outer option says whether binding worked")]
    pub(super) fn weights(&mut self, options: &[Argument], span: Span) -> Option<Option<Weights>> {
        let bound = self.binder.call(&settings::BACKBONE, options, None, span, &Scope::new())?;
        let Some(arg) = bound.call.args.get("weights") else { return Some(None) };
        let (from, rules) = match &arg.value {
            Value::Part(run) if run.signature.name == settings::RUN.name => {
                let last = run.args.text("checkpoint") == "last";
                let network = run.args.has("network").then(|| run.args.text("network").into());
                (WeightsFrom::Run { model: run.args.text("model").into(), last, network }, Rules::default())
            }
            Value::Part(file) => (WeightsFrom::File(file.args.text("path").into()), self.rules(&file.args)?),
            value => (WeightsFrom::File(value.as_text().unwrap_or_default().into()), Rules::default()),
        };
        Some(Some(Weights { from, rules, span: arg.span }))
    }

    /// What `file(…)` says about names.
    fn rules(&mut self, args: &Args) -> Option<Rules> {
        let list = |name: &str| if args.has(name) { args.list(name) } else { &[] };
        let patterns = |name: &str| list(name).iter().filter_map(|arg| arg.value.as_text()).map(Pattern::new).collect();
        let mut rules =
            Rules { rename: vec![], unused: patterns("unused"), fresh: patterns("fresh"), must_match: true };
        let mut sound = true;
        for arg in list("rename") {
            match Rule::parse(arg.value.as_text().unwrap_or_default()) {
                Ok(rule) => rules.rename.push(rule),
                Err(why) => {
                    sound = false;
                    let help =
                        "write `\"blocks.* -> layers.*\"`, or `\"qkv.*[0/3] -> query.*\"` for a third of a tensor";
                    self.report(Diagnostic::error(why).at(arg.span).help(help));
                }
            }
        }
        sound.then_some(rules)
    }
}

/// The token vocabulary of an input is what the embedding that reads it has rows for.
pub(super) fn read_vocabularies(inputs: &mut [Port], networks: &[Network]) {
    for network in networks {
        let Some(first) = network.body.first().filter(|n| n.layer.signature().name == "embedding") else { continue };
        for source in &network.sources {
            for input in inputs.iter_mut().filter(|i| i.name == source.path) {
                let size = first.args.size("vocabulary");
                input.ty.vocabulary = Some(input.ty.vocabulary.map_or(size, |v| v.min(size)));
            }
        }
    }
}
