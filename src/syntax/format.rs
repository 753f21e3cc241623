//! The one layout of a spec.
//!
//! In comes a tree with the text it was read from, out comes the same tree as text: `parse(format(x)) = parse(x)` but for
//! places, and formatting twice changes nothing more. The text is asked only for what the tree does not hold: empty lines,
//! which are kept as at most one, and whether a short brace block stood on one line. Comments are kept: one on a line of its
//! own stays above what it precedes, one behind an entry stays there, and one amid an expression moves above its entry.

mod comments;
mod entries;
mod expression;

use super::ast::*;
use super::doc::{self, Doc};
use super::scan::Scan;
use crate::base::{Source, Span};
use entries::{Entry, Family};
use std::rc::Rc;

/// The text of `file`, which was read from `source`, in the canonical layout.
pub fn format(source: &Source, file: &File) -> String {
    let mut formatter = Formatter {
        scan: Scan::new(&source.text),
        text: &source.text,
        comments: &file.comments,
        placed: vec![false; file.comments.len()],
    };
    let entries = file.declarations.iter().map(|d| formatter.declaration(d)).collect();
    let lines = formatter.lines(Span::new(0, source.text.len()), entries);
    let text = doc::render(&lines);
    if text.trim().is_empty() { String::new() } else { text }
}

/// What the layout of every part needs: the text, and which comments already have their place.
struct Formatter<'a> {
    scan: Scan<'a>,
    text: &'a str,
    comments: &'a [Comment],
    placed: Vec<bool>,
}

impl Formatter<'_> {
    fn declaration(&mut self, declaration: &Declaration) -> Entry {
        let span = declaration.span;
        let plain = |keyword, body: Doc| Entry::new(span, keyword, body);
        match &declaration.kind {
            DeclarationKind::Model(name) => plain("model", Doc::text(&name.text)),
            DeclarationKind::Input(name, type_expr) => {
                let body = self.type_expr(type_expr);
                plain("input", body).head(Doc::text(format!("{}:", name.text))).aligned().family(Family::Values)
            }
            DeclarationKind::Target(name, type_expr) => {
                let body = self.type_expr(type_expr);
                plain("target", body).head(Doc::text(format!("{}:", name.text))).aligned().family(Family::Values)
            }
            DeclarationKind::Block { name, params, body } => {
                let params: Vec<Doc> = params.iter().map(|p| self.param(p)).collect();
                let params = if params.is_empty() { Doc::nothing() } else { self.enclosed("(", params, ")") };
                let body = self.body(body, span);
                plain("block", body).head(Doc::Concat(vec![Doc::text(&name.text), params]))
            }
            DeclarationKind::Backbone { name, arguments, body } => {
                let head = Doc::Concat(vec![Doc::text(&name.text), self.arguments(arguments)]);
                let body = self.body(body, span);
                plain("backbone", body).head(head)
            }
            DeclarationKind::Head { name, arguments, body } => {
                let head = Doc::Concat(vec![Doc::text(&name.text), self.arguments(arguments)]);
                let chain = matches!(body, Body::Chain(_));
                let entry = plain("head", self.body(body, span)).head(head);
                if chain { entry.aligned() } else { entry }
            }
            DeclarationKind::Freeze { selectors, until } => {
                let rules = selectors
                    .iter()
                    .map(|(s, arguments)| match &arguments[..] {
                        [] => Doc::text(selector(s)),
                        _ => Doc::Concat(vec![Doc::text(format!("{} ", selector(s))), self.arguments(arguments)]),
                    })
                    .collect();
                let mut body = vec![self.separated(rules)];
                if let Some((epoch, _)) = until {
                    body.push(Doc::text(format!(" until epoch {epoch}")));
                }
                plain("freeze", Doc::Concat(body)).hanging().family(Family::Rules)
            }
            DeclarationKind::Tune(rules) => {
                let rules = rules
                    .iter()
                    .map(|(s, arguments)| {
                        Doc::Concat(vec![Doc::text(format!("{} ", selector(s))), self.arguments(arguments)])
                    })
                    .collect();
                plain("tune", self.separated(rules)).hanging().family(Family::Rules)
            }
            DeclarationKind::Minimize(formula) => plain("minimize", self.formula(formula)).family(Family::Aims),
            DeclarationKind::Balance(call) => plain("balance", self.expression(call)).family(Family::Aims),
            DeclarationKind::Measure(measures) => {
                let measures = measures.iter().map(|m| self.expression(m)).collect();
                plain("measure", self.separated(measures)).hanging().family(Family::Aims)
            }
            DeclarationKind::Data { name, source, fields } => {
                let entries: Vec<Entry> = fields
                    .iter()
                    .map(|f| {
                        let body = Doc::Concat(vec![Doc::text("= "), self.expression(&f.value)]);
                        Entry::new(f.name.span.to(f.value.span), "", body).head(Doc::text(&f.name.text)).aligned()
                    })
                    .collect();
                let braces = self.braces(span.end, fields.first().map(|f| f.name.span));
                let head = Doc::Concat(vec![Doc::text(format!("{} = ", name.text)), self.expression(source)]);
                let body = self.block(braces, entries, false);
                plain("data", body).head(head)
            }
            DeclarationKind::Train(settings) => plain("train", self.settings(settings, span)),
            DeclarationKind::Serve(settings) => plain("serve", self.settings(settings, span)),
        }
    }

    fn settings(&mut self, settings: &[Setting], span: Span) -> Doc {
        let entries = settings.iter().map(|s| self.named(&s.name, &s.value)).collect();
        let braces = self.braces(span.end, settings.first().map(|s| s.name.span));
        self.block(braces, entries, true)
    }

    /// `NAME: VALUE` in braces.
    fn named(&mut self, name: &Name, value: &Expr) -> Entry {
        let body = self.expression(value);
        Entry::new(name.span.to(value.span), "", body).head(Doc::text(format!("{}:", name.text))).aligned()
    }

    fn stages(&mut self, stages: &[Stage], end: usize, may_inline: bool) -> Doc {
        let entries = stages.iter().map(|s| self.named(&s.name, &s.body)).collect();
        let braces = self.braces(end, stages.first().map(|s| s.name.span));
        self.block(braces, entries, may_inline)
    }

    /// A body that is a chain goes to a line of its own before the chain itself is broken.
    fn body(&mut self, body: &Body, span: Span) -> Doc {
        match body {
            Body::Stages(stages) => self.stages(stages, span.end, false),
            Body::Chain(chain) => {
                let (breaks, doc) = (matches!(chain.kind, ExprKind::Chain(_) | ExprKind::Binary { .. }), chain);
                if breaks {
                    let doc = Doc::group(self.broken(doc, 0));
                    Doc::group(Doc::Concat(vec![Doc::text("="), Doc::nest(2, Doc::Concat(vec![Doc::Line, doc]))]))
                } else {
                    Doc::Concat(vec![Doc::text("= "), self.expression(doc)])
                }
            }
        }
    }

    /// The terms of a loss, each on its line under the first.
    fn formula(&mut self, formula: &Expr) -> Doc {
        let mut terms = vec![];
        let mut rest = formula;
        while let ExprKind::Binary { op: op @ (BinaryOp::Add | BinaryOp::Subtract), left, right } = &rest.kind {
            terms.push((op.symbol(), &**right));
            rest = left;
        }
        let mut docs = vec![Doc::nest(9, self.expression(rest))];
        let mut end = rest.span.end;
        for (symbol, term) in terms.into_iter().rev() {
            let doc = Doc::nest(2, self.expression(term));
            docs.extend(self.trailing(end, term.span.start));
            let mut lines: Vec<Doc> = vec![];
            for comment in self.take(Span::new(end, term.span.end)) {
                lines.extend([Doc::HardLine, Doc::text(comment)]);
            }
            lines.extend([Doc::HardLine, Doc::text(format!("{symbol} ")), doc]);
            docs.push(Doc::nest(7, Doc::Concat(lines)));
            end = term.span.end;
        }
        Doc::Concat(docs)
    }

    /// A brace block: on one line where that is allowed, was so and fits, else an entry on each line.
    fn block(&mut self, braces: Span, entries: Vec<Entry>, may_inline: bool) -> Doc {
        let inside = Span::new(braces.start + 1, braces.end - 1);
        let commented = self.commented(inside);
        if entries.is_empty() && !commented {
            return Doc::text("{}");
        }
        let inline = may_inline && !commented && !self.text[inside.start..inside.end].contains('\n');
        let short = inline.then(|| {
            let mut docs = vec![Doc::text("{ ")];
            for (i, entry) in entries.iter().enumerate() {
                docs.push(Doc::text(if i > 0 { ", " } else { "" }));
                docs.extend([Doc::Shared(entry.head.clone()), Doc::text(" "), Doc::Shared(entry.body.clone())]);
            }
            docs.push(Doc::text(" }"));
            Doc::Concat(docs)
        });
        let mut long = vec![Doc::text("{")];
        let first = entries.first().map_or(inside.end, |e| e.span.start);
        long.extend(self.trailing(inside.start, first));
        let lines = self.lines(inside, entries);
        long.extend([Doc::nest(2, Doc::Concat(vec![Doc::HardLine, lines])), Doc::HardLine, Doc::text("}")]);
        match short {
            Some(short) => Doc::Choice(Rc::new(short), Rc::new(Doc::Concat(long))),
            None => Doc::Concat(long),
        }
    }

    /// From the brace in front of the first entry to the one that ends at `end`.
    fn braces(&self, end: usize, first: Option<Span>) -> Span {
        let inside = first.map_or(end - 1, |name| name.start);
        let open = self.scan.index_at(inside).saturating_sub(1);
        Span::new(self.scan.tokens[open].span.start, end)
    }
}

fn selector(selector: &Selector) -> String {
    let kind = selector.kind.as_ref().map_or(String::new(), |kind| format!("{} in ", kind.text));
    match &selector.place {
        Place::Path(path) => format!("{kind}{path}"),
        Place::Range(path, to) => format!("{kind}{path} .. {to}"),
        Place::Pattern(text) => format!("{kind}{}", expression::quote(text)),
    }
}
