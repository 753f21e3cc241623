//! What is minimised, balanced and measured: every loss and metric with its head and target.

use super::Resolver;
use crate::base::signature::{Arg, Args, Call, PartKind};
use crate::base::{Diagnostic, Span};
use crate::model::bind::Scope;
use crate::model::{Measure, Term};
use crate::parts;
use crate::syntax::ast::{BinaryOp, DeclarationKind, Expr, ExprKind};
use std::collections::BTreeMap;

impl<'a> Resolver<'a> {
    /// Checks that the first two arguments of a loss or metric name a head and a target.
    pub(super) fn head_and_target(&mut self, args: &Args) -> Option<(String, String)> {
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

    pub(super) fn terms(&mut self) -> Vec<Term> {
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
    pub(super) fn sum(&mut self, expr: &'a Expr, factor: f64, terms: &mut Vec<(f64, &'a Expr)>) {
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

    pub(super) fn subtracted(&mut self, span: Span) {
        let diagnostic = Diagnostic::error("a loss is added, not subtracted").at(span);
        self.report(diagnostic.help("what should grow needs a loss that falls as it grows"));
    }

    pub(super) fn weight(&mut self, expr: &Expr) -> Option<f64> {
        let weight = self.binder.number(expr, &Scope::new())?;
        if weight <= 0.0 {
            let diagnostic = Diagnostic::error("the weight of a loss is above 0").at(expr.span);
            self.report(diagnostic.help("leave a loss out that should not count"));
            return None;
        }
        Some(weight)
    }

    pub(super) fn measures(&mut self) -> Vec<Measure> {
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
                let written = crate::model::print::call(&bound.call);
                if let Some(first) = measures.iter().find(|m| crate::model::print::call(&m.metric) == written) {
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

    pub(super) fn balance(&mut self, terms: &[Term]) -> Option<Call> {
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
        if !self.binder.diagnostics.has_errors() {
            balancer.check(&call.args, terms.len()).into_iter().for_each(|diagnostic| self.report(diagnostic));
        }
        let inner = call.args.0.values().filter_map(|arg| parts::balancers::find(arg.value.as_part()?.signature.name));
        let nonnegative = inner.chain([balancer]).any(|b| b.needs_nonnegative());
        for term in terms.iter().filter(|_| nonnegative) {
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
}

/// The first two arguments of a metric, under the names that losses use.
fn prediction_and_target(args: &Args) -> Option<Args> {
    let mut values = args.0.values();
    let (head, target): (&Arg, &Arg) = (values.next()?, values.next()?);
    Some(Args([("head", head.clone()), ("target", target.clone())].into_iter().collect()))
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
