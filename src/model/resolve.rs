//! Syntax tree to model: names found, arguments bound, and everything that is wrong reported at once.

use super::bind::{Binder, Scope};
use super::expand::{Block, Expander};
use super::select::select;
use super::settings::{self, LearningRate};
use super::{Freeze, Measure, Model, Network, NetworkKind, Port, Reference, Term, Tune, Weights, WeightsFrom};
use crate::base::signature::{Arg, Args, Call, PartKind, Signature, Value};
use crate::base::{DType, Diagnostic, Diagnostics, Result, Source, Span, Type};
use crate::data::{Classes, DataSpec, FieldSpec, FieldType, Role};
use crate::parts;
use crate::syntax::ast::{
    Argument, BinaryOp, Body, DeclarationKind, Expr, ExprKind, Field, File, Name, Selector, Setting, TypeExpr,
};
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
                    let selections = selectors.iter().filter_map(|s| self.selection(s, &networks)).collect();
                    if let Some((0, span)) = until {
                        self.report(
                            Diagnostic::error("epochs count from 1: until epoch 0 nothing is frozen")
                                .at(*span)
                                .help("`until epoch 1` freezes the first epoch"),
                        );
                    }
                    freezes.push(Freeze { selections, until: until.as_ref().map(|(epoch, _)| *epoch) });
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
        let data = self.data(&data, &inputs, &targets);
        let train = self.settings(&settings::TRAIN, &train);
        let serve = self.settings(&settings::SERVE, &serve)?;
        let train = train?;
        if let Some(diagnostic) = parts::optimizers::check(train.part("optimizer")) {
            self.report(diagnostic);
        }
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
                    if parts::layers::find(&name.text).is_some() {
                        let message = format!("`{}` is a layer; a block needs another name", name.text);
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

    fn ports(&mut self) -> (Vec<Port>, Vec<Port>) {
        let file = self.file;
        let (mut inputs, mut targets) = (vec![], vec![]);
        for declaration in &file.declarations {
            let (list, name, ty) = match &declaration.kind {
                DeclarationKind::Input(name, ty) => (&mut inputs, name, ty),
                DeclarationKind::Target(name, ty) => (&mut targets, name, ty),
                _ => continue,
            };
            if let Some(ty) = self.field_type(ty) {
                list.push(Port { name: name.text.clone(), ty, span: declaration.span });
            }
        }
        (inputs, targets)
    }

    /// `f32[…]`, `tokens[n]`, `class[n]` or `class["a", "b"]`, the last two with the positions that have a class each behind.
    fn field_type(&mut self, ty: &TypeExpr) -> Option<FieldType> {
        let name = ty.name.text.as_str();
        if !["f32", "tokens", "class"].contains(&name) {
            let diagnostic = Diagnostic::error(format!("there is no type `{name}`")).at(ty.name.span);
            let help = "numbers are `f32[…]`, ids of words or bytes `tokens[…]`, and classes `class[…]`";
            self.report(diagnostic.help(help));
            return None;
        }
        let wrong = |what: &str| {
            Diagnostic::error(what).at(ty.span).help("for example `f32[3, 224, 224]`, `tokens[128]`, `class[10]`, `class[\"cat\", \"dog\"]`, or `class[2][64, 64]` for a class at each pixel")
        };
        let Some((first, rest)) = ty.brackets.split_first().filter(|(first, _)| !first.is_empty()) else {
            self.report(wrong("a type has its sizes in brackets"));
            return None;
        };
        let names: Vec<&str> = first
            .iter()
            .filter_map(|e| if let ExprKind::Text(t) = &e.kind { Some(t.as_str()) } else { None })
            .collect();
        let (classes, dims): (Option<Classes>, Vec<&Expr>) = if name == "class" {
            let dims = rest.iter().flatten().collect();
            if names.len() == first.len() {
                if let Some(i) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
                    let first = names.iter().position(|n| *n == names[i]).map_or(ty.span, |k| first[k].span);
                    let message = format!("two classes are named `{}`", names[i]);
                    let diagnostic = Diagnostic::error(message).at(ty.brackets[0][i].span);
                    self.report(diagnostic.label(first, "the first one"));
                }
                (
                    Some(Classes { count: names.len(), names: Some(names.iter().map(ToString::to_string).collect()) }),
                    dims,
                )
            } else if let [count] = &first[..] {
                (Some(Classes { count: self.size(count)?, names: None }), dims)
            } else {
                self.report(wrong("`class` takes a number of classes, or their names in quotes"));
                return None;
            }
        } else {
            (None, first.iter().chain(rest.iter().flatten()).collect())
        };
        if classes.as_ref().is_some_and(|c| c.count < 2) {
            let diagnostic = Diagnostic::error("a target of one class has nothing to tell apart").at(ty.span);
            let help = "yes or no is two classes, `class[\"no\", \"yes\"]`, or a number, `f32[1]` with the loss `bce`";
            self.report(diagnostic.help(help));
        }
        let dims = dims.into_iter().map(|e| self.size(e)).collect::<Option<Vec<usize>>>()?;
        if dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).is_none_or(|n| n > parts::cell::MOST_NUMBERS) {
            self.report(Diagnostic::error("one example has more than 2^30 numbers").at(ty.span));
        }
        if dims.len() > 3 {
            self.report(wrong("a value has at most three axes besides the batch"));
        }
        let dtype = if name == "f32" { DType::F32 } else { DType::I64 };
        if name == "tokens" && dims.len() != 1 {
            self.report(wrong("`tokens` takes the length of the sequence"));
        }
        Some(FieldType { ty: Type::batched(dtype, &dims), classes, vocabulary: None })
    }

    fn size(&mut self, expr: &Expr) -> Option<usize> {
        let n = self.binder.number(expr, &Scope::new())?;
        if n < 1.0 || n.fract() != 0.0 || n > f64::from(1 << 30) {
            self.report(Diagnostic::error("a size is an integer of at least 1").at(expr.span));
            return None;
        }
        Some(n as usize)
    }

    fn networks(&mut self) -> Vec<Network> {
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

    fn network(
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
        let weights = self.weights(kind, &options, name.span);
        let body = Expander::new(self.source, &self.blocks, &mut self.binder).body(body, &name.text, &Scope::new())?;
        Some(Network { name: name.text.clone(), kind, sources, weights: weights?, body, span: name.span })
    }

    /// Whether a network may read that name here.
    fn check_source(&mut self, reference: &Reference, first: &str, above: &[Network], reader: Span) -> bool {
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
    fn weights(&mut self, kind: NetworkKind, options: &[Argument], span: Span) -> Option<Option<Weights>> {
        if kind == NetworkKind::Head {
            if let Some(option) = options.first() {
                let diagnostic = Diagnostic::error("a head has no options").at(option.value.span);
                self.report(diagnostic.help("options such as `weights` belong to a backbone"));
            }
            return Some(None);
        }
        let bound = self.binder.call(&settings::BACKBONE, options, None, span, &Scope::new())?;
        Some(bound.call.args.get("weights").map(|arg| {
            let from = match &arg.value {
                Value::Part(run) => WeightsFrom::Run {
                    model: run.args.text("model").into(),
                    last: run.args.text("checkpoint") == "last",
                },
                value => WeightsFrom::File(value.as_text().unwrap_or_default().into()),
            };
            Weights { from, span: arg.span }
        }))
    }

    fn selection(&mut self, selector: &Selector, networks: &[Network]) -> Option<super::Selection> {
        select(selector, networks).map_err(|d| self.report(d)).ok()
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
        Some(Tune { selection, lr, weight_decay })
    }

    /// Checks that the first two arguments of a loss or metric name a head and a target.
    fn head_and_target(&mut self, args: &Args) -> Option<(String, String)> {
        let what = |name: &str| self.names.get(name).map(|(_, what)| *what);
        let (first, second) = (args.text("head"), args.text("target"));
        if (what(first), what(second)) == (Some("target"), Some("head")) {
            let span = args.span("head").unwrap_or_default().to(args.span("target").unwrap_or_default());
            let diagnostic = Diagnostic::error(format!("`{first}` is a target, and `{second}` a head")).at(span);
            self.report(diagnostic.help(format!("the head comes first: `({second}, {first})`")));
            return None;
        }
        let mut named = |arg: &str, kinds: &[&str], noun: &str| {
            let name = args.text(arg).to_string();
            let span = args.span(arg).unwrap_or_default();
            match self.names.get(&name) {
                Some((_, what)) if kinds.contains(what) => Some(name),
                Some((declared, what)) => {
                    let diagnostic =
                        Diagnostic::error(format!("`{name}` is no {noun}, but {} {what}", article(what))).at(span);
                    let diagnostic = diagnostic.label(*declared, "declared here");
                    self.binder.report(match (noun, *what) {
                        ("head", "input" | "backbone") => {
                            diagnostic.help(format!("give it a head, and name that: `head NAME({name}) = …`"))
                        }
                        _ => diagnostic,
                    });
                    None
                }
                None => {
                    let known: Vec<&str> =
                        self.names.iter().filter(|(_, (_, w))| kinds.contains(w)).map(|(n, _)| n.as_str()).collect();
                    let diagnostic =
                        Diagnostic::error(format!("there is no {noun} `{name}`")).at(span).suggest(&name, known);
                    self.binder.report(diagnostic);
                    None
                }
            }
        };
        let head = named("head", &["head"], "head");
        let target = named("target", &["target"], "target");
        head.zip(target)
    }

    fn terms(&mut self) -> Vec<Term> {
        let file = self.file;
        let mut found = vec![];
        let mut first: Option<Span> = None;
        for declaration in &file.declarations {
            if let DeclarationKind::Minimize(expr) = &declaration.kind {
                if let Some(first) = first {
                    let diagnostic = Diagnostic::error("a spec has one `minimize`").at(declaration.span);
                    self.report(diagnostic.label(first, "the first one").help("add the losses up in one sum"));
                }
                first = first.or(Some(declaration.span));
                self.sum(expr, 1.0, &mut found);
            }
        }
        if !file.declarations.iter().any(|d| matches!(d.kind, DeclarationKind::Minimize(_))) {
            let end = Span::new(self.source.text.trim_end().len(), self.source.text.trim_end().len());
            let diagnostic = Diagnostic::error("the spec minimises nothing").label(end, "");
            self.report(diagnostic.help("add `minimize LOSS(HEAD, TARGET)`"));
        }
        let mut terms: Vec<Term> = vec![];
        for (weight, expr) in found {
            let Some(bound) = self.binder.part(expr, PartKind::Loss, &Scope::new()) else { continue };
            let Some((head, target)) = self.head_and_target(&bound.call.args) else { continue };
            terms.push(Term { name: head.clone(), weight, loss: bound.call, head, target, span: expr.span });
        }
        // A head with several losses has several tasks, so their names need the loss.
        let shared: Vec<bool> = terms.iter().map(|t| terms.iter().filter(|u| u.head == t.head).count() > 1).collect();
        for (term, shared) in terms.iter_mut().zip(shared) {
            if shared {
                term.name = format!("{}.{}", term.head, term.loss.signature.name);
            }
        }
        let mut names: BTreeMap<String, Span> = BTreeMap::new();
        for term in &terms {
            if let Some(first) = names.insert(term.name.clone(), term.span) {
                let diagnostic =
                    Diagnostic::error(format!("the loss `{}` stands twice in the sum", term.name)).at(term.span);
                self.report(
                    diagnostic.label(first, "the first one").help("give it once, with the sum of both weights"),
                );
            }
        }
        terms
    }

    /// Takes a sum of weighted losses apart.
    fn sum(&mut self, expr: &'a Expr, factor: f64, terms: &mut Vec<(f64, &'a Expr)>) {
        match &expr.kind {
            ExprKind::Group(inner) => self.sum(inner, factor, terms),
            ExprKind::Binary { op: BinaryOp::Add, left, right } => {
                self.sum(left, factor, terms);
                self.sum(right, factor, terms);
            }
            ExprKind::Binary { op: BinaryOp::Multiply, left, right } => {
                let (number, losses) = if is_numeric(left) { (left, right) } else { (right, left) };
                if !is_numeric(number) {
                    let diagnostic =
                        Diagnostic::error("a loss is multiplied by a number").label(number.span, "this is none");
                    self.report(diagnostic.help("losses are added up: `A + 0.5 * B`"));
                    return;
                }
                if let Some(weight) = self.weight(number) {
                    self.sum(losses, factor * weight, terms);
                }
            }
            ExprKind::Binary { op: BinaryOp::Divide, left, right } => {
                if let Some(weight) = self.weight(right) {
                    self.sum(left, factor / weight, terms);
                }
            }
            ExprKind::Binary { op: BinaryOp::Subtract, left: before, right: subtracted } => {
                self.sum(before, factor, terms);
                self.subtracted(subtracted.span);
            }
            ExprKind::Negate(_) => self.subtracted(expr.span),
            _ => terms.push((factor, expr)),
        }
    }

    fn subtracted(&mut self, span: Span) {
        let diagnostic = Diagnostic::error("a loss is added, not subtracted").at(span);
        self.report(diagnostic.help("what should grow needs a loss that falls as it grows"));
    }

    fn weight(&mut self, expr: &Expr) -> Option<f64> {
        let weight = self.binder.number(expr, &Scope::new())?;
        if weight <= 0.0 {
            let diagnostic = Diagnostic::error("the weight of a loss is above 0").at(expr.span);
            self.report(diagnostic.help("leave a loss out that should not count"));
            return None;
        }
        Some(weight)
    }

    fn measures(&mut self) -> Vec<Measure> {
        let file = self.file;
        let mut measures: Vec<Measure> = vec![];
        for declaration in &file.declarations {
            let DeclarationKind::Measure(list) = &declaration.kind else { continue };
            for expr in list {
                let Some(bound) = self.binder.part(expr, PartKind::Metric, &Scope::new()) else { continue };
                let (head, target) = match prediction_and_target(&bound.call.args) {
                    Some(names) => match self.head_and_target(&names) {
                        Some(pair) => pair,
                        None => continue,
                    },
                    None => continue,
                };
                let written = super::print::call(&bound.call);
                if let Some(first) = measures.iter().find(|m| super::print::call(&m.metric) == written) {
                    let diagnostic = Diagnostic::error("the same is measured twice").at(expr.span);
                    let first = first.span;
                    self.report(diagnostic.label(first, "the first one"));
                    continue;
                }
                // The shortest name that is not taken: by the head, with the target, or with every argument.
                let metric = bound.call.signature.name;
                let names = [format!("{metric}({head})"), format!("{metric}({head}, {target})"), written];
                let taken = |name: &String| measures.iter().any(|m| m.name == *name);
                let Some(name) = names.into_iter().find(|name| !taken(name)) else { continue };
                measures.push(Measure { name, metric: bound.call, head, target, span: expr.span });
            }
        }
        measures
    }

    fn balance(&mut self, terms: &[Term]) -> Option<Call> {
        let file = self.file;
        let mut declared = file.declarations.iter().filter_map(|d| match &d.kind {
            DeclarationKind::Balance(expr) => Some(expr),
            _ => None,
        });
        let Some(expr) = declared.next() else {
            let signature = parts::balancers::BALANCERS[0].signature();
            let bound = self.binder.call(signature, &[], None, Span::default(), &Scope::new())?;
            return Some(bound.call);
        };
        if let Some(second) = declared.next() {
            let diagnostic = Diagnostic::error("a spec has one `balance`").at(second.span);
            self.report(diagnostic.label(expr.span, "the first one"));
        }
        let call = self.binder.part(expr, PartKind::Balancer, &Scope::new())?.call;
        let balancer = parts::balancers::find(call.signature.name)?;
        if terms.len() < balancer.fewest_tasks() && !self.binder.diagnostics.has_errors() {
            let message = format!("`{}` balances tasks, and there is only one", call.signature.name);
            self.report(
                Diagnostic::error(message).at(expr.span).help("leave `balance` out, or add a task to `minimize`"),
            );
        }
        for term in terms.iter().filter(|_| balancer.needs_nonnegative()) {
            if parts::losses::find(term.loss.signature.name).is_some_and(|l| !l.nonnegative) {
                let message = format!(
                    "`{}` needs losses of at least 0, and `{}` can be less",
                    call.signature.name, term.loss.signature.name
                );
                let diagnostic = Diagnostic::error(message).at(expr.span).label(term.span, "this loss");
                self.report(diagnostic.help("leave `balance` out, so that the weights in `minimize` hold"));
            }
        }
        Some(call)
    }

    fn settings(&mut self, signature: &'static Signature, blocks: &[&[Setting]]) -> Option<Args> {
        let argument = |s: &Setting| Argument { name: Some(s.name.clone()), value: s.value.clone() };
        let arguments: Vec<Argument> = blocks.iter().flat_map(|b| b.iter().map(argument)).collect();
        let span = arguments.first().map_or(Span::default(), |a| a.value.span);
        self.binder.call(signature, &arguments, None, span, &Scope::new()).map(|bound| bound.call.args)
    }

    fn data(&mut self, declared: &[(&Name, &Expr, &[Field])], inputs: &[Port], targets: &[Port]) -> Vec<DataSpec> {
        let mut data: Vec<DataSpec> = vec![];
        for (name, source, fields) in declared {
            if let Some((first, ..)) =
                declared.iter().find(|(first, ..)| first.text == name.text && first.span < name.span)
            {
                let diagnostic = Diagnostic::error(format!("two sources are named `{}`", name.text)).at(name.span);
                self.report(diagnostic.label(first.span, "the first one"));
            }
            let bound = self.binder.part(source, PartKind::Source, &Scope::new());
            let mut specs: Vec<FieldSpec> = vec![];
            for field in *fields {
                let Some(spec) = self.field(field, inputs, targets) else { continue };
                if specs.iter().any(|s| s.name == spec.name) {
                    let first =
                        fields.iter().find(|f| f.name.text == spec.name).map_or(field.name.span, |f| f.name.span);
                    let diagnostic = Diagnostic::error(format!("`{}` is given twice", spec.name)).at(field.name.span);
                    self.report(diagnostic.label(first, "the first one"));
                }
                specs.push(spec);
            }
            if specs.len() == fields.len() {
                for input in inputs.iter().filter(|i| !specs.iter().any(|s| s.name == i.name)) {
                    let message = format!("the data `{}` does not give the input `{}`", name.text, input.name);
                    let diagnostic = Diagnostic::error(message).at(name.span).label(input.span, "declared here");
                    self.report(diagnostic.help(format!("add `{} = …` to its fields", input.name)));
                }
            }
            if specs.len() < fields.len() {
                self.has_failed_data = true;
            }
            if let Some(bound) = bound {
                data.push(DataSpec {
                    name: name.text.clone(),
                    source: bound.call,
                    fields: specs,
                    root: self.root.into(),
                });
            }
        }
        data
    }

    fn field(&mut self, field: &Field, inputs: &[Port], targets: &[Port]) -> Option<FieldSpec> {
        let name = &field.name;
        let port = |ports: &[Port]| ports.iter().find(|p| p.name == name.text).map(|p| p.ty.clone());
        let role = match (port(inputs), port(targets)) {
            (Some(ty), _) => Role::Input(ty),
            (None, Some(ty)) => Role::Target(ty),
            (None, None) => {
                // A name whose type was wrong has its error already.
                if !matches!(self.names.get(&name.text), Some((_, "input" | "target"))) {
                    let known: Vec<&str> = inputs.iter().chain(targets).map(|p| p.name.as_str()).collect();
                    let diagnostic =
                        Diagnostic::error(format!("there is no input or target `{}`", name.text)).at(name.span);
                    self.report(diagnostic.suggest(&name.text, known));
                }
                return None;
            }
        };
        let steps: Vec<&Expr> = match &field.value.kind {
            ExprKind::Chain(steps) => steps.iter().map(|s| &s.expr).collect(),
            _ => vec![&field.value],
        };
        let (first, rest) = steps.split_first()?;
        if let Some(name) = bare_column(first) {
            let diagnostic = Diagnostic::error(format!("`{name}` does not say where values come from")).at(first.span);
            self.report(diagnostic.help(format!("`column(\"{name}\")` is the column of that name")));
            return None;
        }
        let column = self.binder.part(first, PartKind::Column, &Scope::new());
        let steps: Vec<Option<Call>> =
            rest.iter().map(|s| self.binder.part(s, PartKind::Step, &Scope::new()).map(|b| b.call)).collect();
        let steps = steps.into_iter().collect::<Option<Vec<Call>>>()?;
        Some(FieldSpec { name: name.text.clone(), role, column: column?.call, steps, span: field.value.span })
    }

    /// What is declared and never used is most likely a slip; where something else is wrong, most likely not.
    fn check_use(&mut self, model: &Model) {
        let is_head = |d: &crate::syntax::ast::Declaration| matches!(d.kind, DeclarationKind::Head { .. });
        if !self.file.declarations.iter().any(is_head) {
            let name = self.file.declarations.iter().find(|d| matches!(d.kind, DeclarationKind::Model(_)));
            let diagnostic = Diagnostic::error("the spec has no head").at(name.map_or(Span::default(), |d| d.span));
            let last = model.networks.last().map(|n| &n.name).or(model.inputs.first().map(|i| &i.name));
            let help = format!("add `head NAME({}) = …`, which answers", last.map_or("…", |name| name));
            self.report(diagnostic.help(help));
        }
        let read =
            |name: &str| model.networks.iter().flat_map(|n| &n.sources).any(|s| s.path.split('.').next() == Some(name));
        let mut unused = vec![];
        for block in self.blocks.values().filter(|b| !b.used.get()) {
            unused
                .push((format!("nothing uses the block `{}`, so it is not checked", block.name.text), block.name.span));
        }
        for input in model.inputs.iter().filter(|i| !read(&i.name)) {
            unused.push((format!("nothing reads the input `{}`", input.name), input.span));
        }
        for network in model.networks.iter().filter(|n| n.kind == NetworkKind::Backbone && !read(&n.name)) {
            unused.push((format!("nothing reads the backbone `{}`", network.name), network.span));
        }
        for target in &model.targets {
            let used = model.terms.iter().any(|t| t.target == target.name)
                || model.measures.iter().any(|m| m.target == target.name);
            if !used {
                unused.push((format!("no loss or metric uses the target `{}`", target.name), target.span));
            }
        }
        if !self.binder.diagnostics.has_errors() {
            for (message, span) in unused {
                self.report(Diagnostic::warning(message).at(span));
            }
        }
        for target in &model.targets {
            let given = model.data.iter().any(|d| d.fields.iter().any(|f| f.name == target.name));
            if let Some(term) = model.terms.iter().find(|t| t.target == target.name)
                && !given
                && !model.data.is_empty()
                && !self.has_failed_data
            {
                let diagnostic = Diagnostic::error(format!("no data gives the target `{}`", target.name)).at(term.span);
                self.report(diagnostic.help(format!("add `{} = …` to a `data` block", target.name)));
            }
        }
    }
}

/// The token vocabulary of an input is what the embedding that reads it has rows for.
fn read_vocabularies(inputs: &mut [Port], networks: &[Network]) {
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

/// The first two arguments of a metric, under the names that losses use.
fn prediction_and_target(args: &Args) -> Option<Args> {
    let mut values = args.0.values();
    let (head, target): (&Arg, &Arg) = (values.next()?, values.next()?);
    Some(Args([("head", head.clone()), ("target", target.clone())].into_iter().collect()))
}

/// The name that stands where a column should, if it is no slip of one.
fn bare_column(expr: &Expr) -> Option<String> {
    let name = match &expr.kind {
        ExprKind::Path(path) => path.to_string(),
        ExprKind::Text(text) => text.clone(),
        _ => return None,
    };
    let known: Vec<&str> = crate::data::columns().iter().map(|s| s.name).collect();
    let is_text = matches!(expr.kind, ExprKind::Text(_));
    (is_text || crate::base::diagnostic::closest(&name, known).is_none()).then_some(name)
}

fn is_numeric(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number { .. } => true,
        ExprKind::Negate(inner) | ExprKind::Group(inner) => is_numeric(inner),
        ExprKind::Binary { left, right, .. } => is_numeric(left) && is_numeric(right),
        _ => false,
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with('i') { "an" } else { "a" }
}
