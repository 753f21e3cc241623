//! Syntax tree to model: names found, arguments bound, and everything that is wrong reported at once.

mod data;
mod networks;
mod ports;
mod preparation;
mod tasks;
mod usage;

use super::bind::{Binder, Scope};
use super::expand::Block;
use super::select::select;
use super::settings::{self, LearningRate};
use super::{Freeze, Model, Network, NetworkKind, Tune, phase, sampling};
use crate::base::signature::{Arg, Args, Signature, Value};
use crate::base::{Diagnostic, Diagnostics, Result, Source, Span};
use crate::parts;
use crate::parts::cell::Hold;
use crate::syntax::ast::{Argument, DeclarationKind, File, Selector, Setting};
use networks::read_vocabularies;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

/// The model of a parsed spec, with warnings. `root` is the folder that relative paths of the spec start from.
pub fn resolve(source: &Source, file: &File, root: &Path) -> Result<(Model, Diagnostics)> {
    let mut resolver = Resolver {
        source,
        file,
        root,
        binder: Binder::default(),
        names: BTreeMap::new(),
        blocks: BTreeMap::new(),
        has_failed_data: false,
    };
    let model = resolver.model();
    let diagnostics = resolver.binder.diagnostics.without_repetitions();
    match model {
        Some(model) if !diagnostics.has_errors() => Ok((model, diagnostics)),
        _ => Err(diagnostics),
    }
}

struct Resolver<'a> {
    source: &'a Source,
    file: &'a File,
    root: &'a Path,
    binder: Binder,
    /// Inputs, targets, backbones and heads share one namespace.
    names: BTreeMap<String, (Span, &'static str)>,
    blocks: BTreeMap<String, Block<'a>>,
    /// Whether a field of some data was wrong, so that what the data gives is not known.
    has_failed_data: bool,
}

impl<'a> Resolver<'a> {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.binder.report(diagnostic);
    }

    fn model(&mut self) -> Option<Model> {
        let file = self.file;
        let name = self.model_name();
        self.declare_names();
        let (mut inputs, targets) = self.ports();
        let networks = self.networks();
        let (terms, measures) = (self.terms(), self.measures());
        let balance = self.balance(&terms);
        let (mut freezes, mut tunes, mut data) = (vec![], vec![], vec![]);
        let (mut train, mut serve): (Vec<&[Setting]>, Vec<&[Setting]>) = (vec![], vec![]);
        for declaration in &file.declarations {
            match &declaration.kind {
                DeclarationKind::Freeze { selectors, until } => {
                    let end = until.as_ref().map(|(epoch, _)| *epoch);
                    freezes.extend(selectors.iter().filter_map(|(s, a)| self.freeze(s, a, end, &networks)));
                    if let Some((0, span)) = until {
                        self.report(
                            Diagnostic::error("epochs count from 1: until epoch 0 nothing is frozen")
                                .at(*span)
                                .help("`until epoch 1` freezes the first epoch"),
                        );
                    }
                }
                DeclarationKind::Tune(items) => {
                    tunes.extend(items.iter().filter_map(|(s, arguments)| self.tune(s, arguments, &networks)));
                }
                DeclarationKind::Data { name, source, fields } => data.push((name, source, &fields[..])),
                DeclarationKind::Train(settings) => train.push(settings),
                DeclarationKind::Serve(settings) => serve.push(settings),
                _ => {}
            }
        }
        read_vocabularies(&mut inputs, &networks);
        let sources: Vec<String> = data.iter().map(|(name, ..)| name.text.clone()).collect();
        let data = self.data(&data, &inputs, &targets, &networks);
        let train = self.training(&train, &networks);
        train.iter().flat_map(|train| sampling::check(train, &sources)).for_each(|d| self.report(d));
        let serve = self.settings(&settings::SERVE, &serve)?;
        if serve.int("port") > i64::from(u16::MAX) {
            let span = serve.span("port").unwrap_or_default();
            self.report(Diagnostic::error("a port is a number up to 65535").at(span));
        }
        let train = train?;
        let model = Model {
            name: name?,
            inputs,
            targets,
            networks,
            freezes,
            tunes,
            terms,
            balance: balance?,
            measures,
            data,
            train,
            serve,
        };
        self.check_use(&model);
        self.check_preparation(&model);
        Some(model)
    }

    fn model_name(&mut self) -> Option<String> {
        let file = self.file;
        let mut names = file.declarations.iter().filter_map(|d| match &d.kind {
            DeclarationKind::Model(name) => Some(name),
            _ => None,
        });
        let first = names.next();
        for second in names {
            self.binder.report(Diagnostic::error("a spec has one `model`").at(second.span));
        }
        if first.is_none() {
            let first = file.declarations.first().map_or(Span::default(), |d| d.span);
            let diagnostic = Diagnostic::error("the spec names no model").at(first);
            self.report(diagnostic.help("begin with `model NAME`"));
        }
        first.map(|name| name.text.clone())
    }

    /// Notes every declared name, so that later lookups can tell a missing name from a misplaced one.
    fn declare_names(&mut self) {
        let file = self.file;
        for declaration in &file.declarations {
            let (name, what) = match &declaration.kind {
                DeclarationKind::Input(name, _) => (name, "input"),
                DeclarationKind::Target(name, _) => (name, "target"),
                DeclarationKind::Backbone { name, .. } => (name, "backbone"),
                DeclarationKind::Head { name, .. } => (name, "head"),
                DeclarationKind::Block { name, params, body } => {
                    let taken = match () {
                        () if parts::layers::find(&name.text).is_some() => Some("a layer"),
                        () if parts::backbones::find(&name.text).is_some() => Some("a library backbone"),
                        () => None,
                    };
                    if let Some(what) = taken {
                        let message = format!("`{}` is {what}; a block needs another name", name.text);
                        self.report(Diagnostic::error(message).at(name.span));
                    } else if let Some(first) =
                        self.blocks.insert(name.text.clone(), Block { params, body, name, used: Cell::new(false) })
                    {
                        let diagnostic =
                            Diagnostic::error(format!("two blocks are named `{}`", name.text)).at(name.span);
                        self.report(diagnostic.label(first.name.span, "the first one"));
                    }
                    continue;
                }
                _ => continue,
            };
            if let Some((first, _)) = self.names.get(&name.text) {
                let diagnostic = Diagnostic::error(format!("the name `{}` is taken", name.text)).at(name.span);
                let first = *first;
                self.report(diagnostic.label(first, "first declared here"));
            } else {
                self.names.insert(name.text.clone(), (name.span, what));
            }
        }
    }

    fn selection(&mut self, selector: &Selector, networks: &[Network]) -> Option<super::Selection> {
        select(selector, networks).map_err(|d| self.report(d)).ok()
    }

    fn freeze(
        &mut self,
        selector: &Selector,
        arguments: &[Argument],
        until: Option<u64>,
        networks: &[Network],
    ) -> Option<Freeze> {
        let bound = self.binder.call(&settings::FREEZE, arguments, None, selector.span, &Scope::new());
        let selection = self.selection(selector, networks)?;
        let norm = match bound?.call.args.text("norm") {
            "train" => Hold::Nothing,
            "affine" => Hold::Statistics,
            _ => Hold::Everything,
        };
        if norm == Hold::Nothing && selection.kind.as_deref() == Some("norm") {
            let diagnostic = Diagnostic::error("norms that train are not frozen, so this freezes nothing");
            self.report(diagnostic.at(selector.span).help("leave it out, or write `(norm: affine)`"));
        }
        Some(Freeze { selection, norm, until })
    }

    fn tune(&mut self, selector: &Selector, arguments: &[Argument], networks: &[Network]) -> Option<Tune> {
        let bound = self.binder.call(&settings::TUNE, arguments, None, selector.span, &Scope::new());
        let selection = self.selection(selector, networks)?;
        let args = bound?.call.args;
        let lr = args.get("lr").and_then(|arg| match arg.value {
            Value::Factor(x) => Some(LearningRate::Times(x)),
            _ => arg.value.as_float().map(LearningRate::Absolute),
        });
        let weight_decay = args.get("weight_decay").and_then(|arg| arg.value.as_float());
        let layer_decay = args.get("layer_decay").and_then(|arg| arg.value.as_float());
        let l2sp = args.get("l2sp").and_then(|arg| arg.value.as_float());
        let adapt = args.get("adapt").and_then(|arg| arg.value.as_part()).cloned();
        Some(Tune { selection, lr, weight_decay, layer_decay, l2sp, adapt })
    }

    /// The settings of `train`. Where there are phases, their epochs add up to `epochs`.
    fn training(&mut self, blocks: &[&[Setting]], networks: &[Network]) -> Option<Args> {
        let mut train = self.settings(&settings::TRAIN, blocks)?;
        let given = |name: &str| blocks.iter().flat_map(|b| b.iter()).find(|s| s.name.text == name);
        let mut optimizers = vec![train.part("optimizer").clone()];
        if train.has("phases") {
            let phases = train.list("phases").to_vec();
            let span = train.span("phases").unwrap_or_default();
            if phases.is_empty() {
                let diagnostic = Diagnostic::error("a training has one phase at least").at(span);
                self.report(diagnostic.help("`phases: [probe(epochs: 2), finetune(epochs: 8)]`"));
                return None;
            }
            if let Some(epochs) = given("epochs") {
                let sum = phase::epochs(&train);
                let diagnostic =
                    Diagnostic::error("each phase has its epochs, so `epochs` cannot be given beside them");
                let diagnostic = diagnostic.at(epochs.name.span).label(span, format!("these are {sum}"));
                self.report(diagnostic.help("leave `epochs` out, and change those of the phases"));
            }
            for call in phases.iter().filter_map(|arg| arg.value.as_part()) {
                let probes = call.signature.name == phase::PROBE.name;
                if probes && networks.iter().all(|n| n.kind == NetworkKind::Head) {
                    let diagnostic = Diagnostic::error("`probe` freezes backbones, and there is none").at(call.span);
                    self.report(diagnostic.help("`finetune` is the phase that freezes nothing"));
                }
                optimizers.extend(call.args.get("optimizer").and_then(|arg| arg.value.as_part()).cloned());
            }
            let epochs = i64::try_from(phase::epochs(&train)).unwrap_or(i64::MAX);
            train.0.insert("epochs", Arg { value: Value::Int(epochs), span });
        }
        optimizers.iter().filter_map(parts::optimizers::check).for_each(|d| self.report(d));
        Some(train)
    }

    fn settings(&mut self, signature: &'static Signature, blocks: &[&[Setting]]) -> Option<Args> {
        let argument = |s: &Setting| Argument { name: Some(s.name.clone()), value: s.value.clone() };
        let arguments: Vec<Argument> = blocks.iter().flat_map(|b| b.iter().map(argument)).collect();
        let span = arguments.first().map_or(Span::default(), |a| a.value.span);
        self.binder.call(signature, &arguments, None, span, &Scope::new()).map(|bound| bound.call.args)
    }
}
