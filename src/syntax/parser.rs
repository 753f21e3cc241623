//! Text to tree: the grammar of `grammar/mtl.pest`, and what to say when a text does not follow it.
//!
//! In comes a [`Source`], out comes its tree or everything that is wrong with its syntax: a text that fails as a whole is read
//! again one declaration at a time, so that one slip does not hide the next. The rest of the crate never sees the grammar.

mod build;
mod expected;

use super::ast::{Declaration, Expr, File};
use super::scan::Scan;
use crate::base::{Diagnostic, Diagnostics, Result, Source, Span};
use pest::Parser;
use pest::error::{Error, ErrorVariant, InputLocation};
use std::ops::Range;

#[derive(pest_derive::Parser)]
#[grammar = "../grammar/mtl.pest"]
struct Grammar;

type Pair<'a> = pest::iterators::Pair<'a, Rule>;

/// Longer texts are refused: no person writes such a spec.
const MAX_BYTES: usize = 1 << 20;

/// More errors are not told: the file is no spec.
const MAX_ERRORS: usize = 100;

/// The tree of a spec, or all of its syntax errors.
pub fn parse(source: &Source) -> Result<File> {
    let text = source.text.as_str();
    if text.len() > MAX_BYTES {
        let message = format!("a spec of {} bytes is too long: the limit is {MAX_BYTES}", text.len());
        let help = "give the path of the spec, not of the data or the weights it names";
        return Err(Diagnostic::error(message).place(source.name.as_str()).help(help).into());
    }
    let scan = Scan::new(text);
    let everything = 0..scan.tokens.len();
    let whole = match read(&scan, everything) {
        Ok(declarations) => return Ok(File { declarations, comments: scan.comments }),
        Err(whole) => whole,
    };
    let mut diagnostics = Diagnostics::default();
    for declaration in scan.declarations() {
        diagnostics.take(read(&scan, declaration));
        if diagnostics.0.len() > MAX_ERRORS {
            diagnostics.0.truncate(MAX_ERRORS);
            let last = diagnostics.0.pop().map(|d| d.note("there are more syntax errors behind this one"));
            diagnostics.0.extend(last);
            break;
        }
    }
    // Each declaration may be right by itself when the lines misled the split.
    Err(if diagnostics.has_errors() { diagnostics } else { whole })
}

/// The tree of an expression that stands alone, such as a default; spans count from its first byte.
pub fn parse_expression(text: &str) -> Result<Expr> {
    let scan = Scan::new(text);
    let tokens = 0..scan.tokens.len();
    let diagnostics = if text.len() > MAX_BYTES {
        Diagnostic::error("this expression is too long").into()
    } else {
        scan.check(tokens.clone())
    };
    diagnostics.into_result(())?;
    let mut pairs = Grammar::parse(Rule::expression, text).map_err(|e| explain(e, &scan, tokens, 0))?;
    let mut builder = build::Builder::new(&scan, 0);
    let expression = pairs.next().expect("the grammar gives one expression");
    let expression = builder.expression(expression);
    builder.diagnostics.into_result(expression)
}

/// Reads some tokens as declarations.
fn read(scan: &Scan<'_>, tokens: Range<usize>) -> Result<Vec<Declaration>> {
    scan.check(tokens.clone()).into_result(())?;
    let (start, end) = match &scan.tokens[tokens.clone()] {
        [] => (0, 0),
        [first, .., last] => (first.span.start, last.span.end),
        [only] => (only.span.start, only.span.end),
    };
    let pairs = Grammar::parse(Rule::file, &scan.text[start..end]).map_err(|e| explain(e, scan, tokens, start))?;
    let mut builder = build::Builder::new(scan, start);
    let declarations = pairs.flat_map(Pair::into_inner).filter(|p| p.as_rule() != Rule::EOI);
    let declarations = declarations.map(|p| builder.declaration(p)).collect();
    builder.diagnostics.into_result(declarations)
}

/// Says what was expected where the grammar got stuck. `start` is where the text that was read begins in the source.
fn explain(error: Error<Rule>, scan: &Scan<'_>, tokens: Range<usize>, start: usize) -> Diagnostics {
    let offset = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at + start,
    };
    let rules = match error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives,
        ErrorVariant::CustomError { .. } => vec![],
    };
    let at = scan.index_at(offset).clamp(tokens.start, tokens.end);
    let before = (at > tokens.start).then(|| scan.tokens[at - 1]);
    let found = scan.tokens.get(at).copied().filter(|_| at < tokens.end);
    // With nothing behind it the place is just behind the last token.
    let end = before.map_or(start, |t| t.span.end);
    let span = found.map_or(Span::new(end, end), |t| t.span);
    let diagnostic =
        expected::message(&rules, before.map(|t| scan.text_of(t)), found.map(|t| (t.kind, scan.text_of(t))));
    diagnostic.at(span).into()
}
