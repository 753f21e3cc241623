//! From the pairs of the grammar to the tree.
//!
//! Everything here follows the shape of `grammar/mtl.pest` rule by rule, and trusts it: where the grammar guarantees a child,
//! its absence is a bug of ours. What the grammar cannot say, such as the range of a number, is checked here.

use super::{Pair, Rule};
use crate::base::{Diagnostic, Diagnostics, Span};
use crate::syntax::ast::*;
use crate::syntax::scan::Scan;

pub struct Builder<'a> {
    scan: &'a Scan<'a>,
    /// Where the text that the pairs come from begins in the source.
    offset: usize,
    /// Operators of the declaration so far.
    operators: usize,
    pub diagnostics: Diagnostics,
}

/// Each operator of a sum or product makes its tree one deeper, so their number bounds the recursion of what walks the tree,
/// as the nesting of brackets does.
const MAX_OPERATORS: usize = 256;

/// The children that carry something, in order; keywords and marks are only there for messages.
struct Children<'a>(std::iter::Peekable<std::vec::IntoIter<Pair<'a>>>);

impl<'a> Children<'a> {
    fn of(pair: Pair<'a>) -> Self {
        Self(pair.into_inner().filter(|p| !is_mark(p.as_rule())).collect::<Vec<_>>().into_iter().peekable())
    }

    fn next(&mut self) -> Pair<'a> {
        self.0.next().expect("the grammar guarantees this child")
    }

    fn next_if(&mut self, rule: Rule) -> Option<Pair<'a>> {
        self.0.next_if(|p| p.as_rule() == rule)
    }
}

fn is_mark(rule: Rule) -> bool {
    use Rule::*;
    matches!(
        rule,
        arrow | comma | colon | equals | range | open | close | open_list | close_list | open_brace | close_brace
    ) || matches!(
        rule,
        key_model | key_input | key_target | key_block | key_backbone | key_head | key_freeze | key_tune | key_minimize
    ) || matches!(
        rule,
        key_balance | key_measure | key_data | key_train | key_serve | key_until | key_epoch | key_in | EOI
    )
}

impl<'a> Builder<'a> {
    pub fn new(scan: &'a Scan<'a>, offset: usize) -> Self {
        Self { scan, offset, operators: 0, diagnostics: Diagnostics::default() }
    }

    /// The place of a pair. The grammar takes blanks behind a construct when something optional could follow.
    fn span(&self, pair: &Pair<'_>) -> Span {
        let span = pair.as_span();
        Span::new(
            span.start() + self.offset,
            self.scan.end_before(span.end() + self.offset).max(span.start() + self.offset),
        )
    }

    fn name(&self, pair: Pair<'_>) -> Name {
        Name { text: pair.as_str().into(), span: self.exact(&pair) }
    }

    fn path(&self, pair: Pair<'_>) -> Path {
        Path { segments: pair.as_str().split('.').map(String::from).collect(), span: self.exact(&pair) }
    }

    /// The place of a word, which the grammar takes without blanks.
    fn exact(&self, pair: &Pair<'_>) -> Span {
        let span = pair.as_span();
        Span::new(span.start() + self.offset, span.end() + self.offset)
    }

    pub fn declaration(&mut self, pair: Pair<'_>) -> Declaration {
        let span = self.span(&pair);
        self.operators = 0;
        let pair = Children::of(pair).next();
        let rule = pair.as_rule();
        let mut parts = Children::of(pair);
        let kind = match rule {
            Rule::model => DeclarationKind::Model(self.name(parts.next())),
            Rule::input => DeclarationKind::Input(self.name(parts.next()), self.type_expr(parts.next())),
            Rule::target => DeclarationKind::Target(self.name(parts.next()), self.type_expr(parts.next())),
            Rule::block => {
                let name = self.name(parts.next());
                let params = parts.next_if(Rule::params).map_or(vec![], |p| self.all(p, Self::param));
                DeclarationKind::Block { name, params, body: self.body(parts.next()) }
            }
            Rule::backbone | Rule::head => {
                let name = self.name(parts.next());
                let arguments = self.all(parts.next(), Self::argument);
                let body = self.body(parts.next());
                match rule {
                    Rule::head => DeclarationKind::Head { name, arguments, body },
                    _ => DeclarationKind::Backbone { name, arguments, body },
                }
            }
            Rule::freeze => {
                let (mut selectors, mut until) = (vec![], None);
                for part in parts.0 {
                    match part.as_rule() {
                        Rule::until => until = Some(self.epoch(Children::of(part).next())),
                        _ => selectors.push(self.frozen(part)),
                    }
                }
                DeclarationKind::Freeze { selectors, until }
            }
            Rule::tune => DeclarationKind::Tune(parts.0.map(|part| self.tuned(part)).collect()),
            Rule::minimize => DeclarationKind::Minimize(self.chain(parts.next())),
            Rule::balance => DeclarationKind::Balance(self.call(parts.next())),
            Rule::measure => DeclarationKind::Measure(parts.0.map(|part| self.chain(part)).collect()),
            Rule::data => {
                let (name, source) = (self.name(parts.next()), self.call(parts.next()));
                DeclarationKind::Data { name, source, fields: parts.0.map(|part| self.field(part)).collect() }
            }
            Rule::train => DeclarationKind::Train(self.all(parts.next(), Self::setting)),
            Rule::serve => DeclarationKind::Serve(self.all(parts.next(), Self::setting)),
            other => unreachable!("bug: the rule {other:?} is no declaration"),
        };
        Declaration { kind, span }
    }

    fn all<T>(&mut self, pair: Pair<'_>, each: fn(&mut Self, Pair<'_>) -> T) -> Vec<T> {
        Children::of(pair).0.map(|part| each(self, part)).collect()
    }

    fn type_expr(&mut self, pair: Pair<'_>) -> TypeExpr {
        let span = self.span(&pair);
        let mut parts = Children::of(pair);
        let name = self.name(parts.next());
        TypeExpr { name, brackets: parts.0.map(|part| self.all(part, Self::chain)).collect(), span }
    }

    fn param(&mut self, pair: Pair<'_>) -> BlockParam {
        let mut parts = Children::of(pair);
        BlockParam { name: self.name(parts.next()), default: parts.0.next().map(|p| self.chain(p)) }
    }

    fn body(&mut self, pair: Pair<'_>) -> Body {
        let part = Children::of(pair).next();
        match part.as_rule() {
            Rule::stages => Body::Stages(self.all(part, Self::stage)),
            _ => Body::Chain(self.chain(part)),
        }
    }

    fn stage(&mut self, pair: Pair<'_>) -> Stage {
        let mut parts = Children::of(pair);
        Stage { name: self.name(parts.next()), body: self.chain(parts.next()) }
    }

    fn field(&mut self, pair: Pair<'_>) -> Field {
        let mut parts = Children::of(pair);
        Field { name: self.name(parts.next()), value: self.chain(parts.next()) }
    }

    fn setting(&mut self, pair: Pair<'_>) -> Setting {
        let mut parts = Children::of(pair);
        Setting { name: self.name(parts.next()), value: self.chain(parts.next()) }
    }

    fn argument(&mut self, pair: Pair<'_>) -> Argument {
        let mut parts = Children::of(pair);
        Argument { name: self.label(&mut parts), value: self.chain(parts.next()) }
    }

    fn label(&self, parts: &mut Children<'_>) -> Option<Name> {
        parts.next_if(Rule::label).map(|p| self.name(Children::of(p).next()))
    }

    fn selector(&mut self, pair: Pair<'_>) -> Selector {
        let span = self.span(&pair);
        let mut parts = Children::of(pair);
        let kind = parts.next_if(Rule::kind).map(|p| self.name(Children::of(p).next()));
        let first = parts.next();
        let place = match (first.as_rule(), parts.0.next()) {
            (Rule::text, _) => Place::Pattern(unescape(first.as_str())),
            (_, None) => Place::Path(self.path(first)),
            (_, Some(to)) => Place::Range(self.path(first), self.path(to)),
        };
        Selector { kind, place, span }
    }

    fn frozen(&mut self, pair: Pair<'_>) -> (Selector, Vec<Argument>) {
        let mut parts = Children::of(pair);
        let selector = self.selector(parts.next());
        (selector, parts.0.next().map_or(vec![], |p| self.all(p, Self::argument)))
    }

    fn tuned(&mut self, pair: Pair<'_>) -> (Selector, Vec<Argument>) {
        let mut parts = Children::of(pair);
        (self.selector(parts.next()), self.all(parts.next(), Self::argument))
    }

    fn epoch(&mut self, pair: Pair<'_>) -> (u64, Span) {
        let span = self.exact(&pair);
        let epoch = pair.as_str().parse().unwrap_or_else(|_| {
            self.diagnostics.push(
                Diagnostic::error(format!("`{}` is not the number of an epoch", pair.as_str()))
                    .at(span)
                    .help("epochs are counted in whole numbers, as in `until epoch 3`"),
            );
            0
        });
        (epoch, span)
    }

    pub fn expression(&mut self, pair: Pair<'_>) -> Expr {
        self.chain(Children::of(pair).next())
    }

    /// A chain of one step without a label is that step.
    fn chain(&mut self, pair: Pair<'_>) -> Expr {
        let span = self.span(&pair);
        let mut steps = self.all(pair, Self::step);
        if steps.len() == 1 && steps[0].label.is_none() {
            return steps.remove(0).expr;
        }
        Expr { kind: ExprKind::Chain(steps), span }
    }

    fn step(&mut self, pair: Pair<'_>) -> Step {
        let mut parts = Children::of(pair);
        Step { label: self.label(&mut parts), expr: self.binary(parts.next()) }
    }

    /// A `sum` of products or a `product` of unaries, from the left.
    fn binary(&mut self, pair: Pair<'_>) -> Expr {
        let deeper = if pair.as_rule() == Rule::sum { Self::binary } else { Self::unary };
        let mut parts = Children::of(pair);
        let mut left = deeper(self, parts.next());
        while let Some(op) = parts.0.next() {
            let op = match op.as_str() {
                "+" => BinaryOp::Add,
                "-" => BinaryOp::Subtract,
                "*" => BinaryOp::Multiply,
                _ => BinaryOp::Divide,
            };
            let right = deeper(self, parts.next());
            self.operators += 1;
            if self.operators > MAX_OPERATORS {
                if self.operators == MAX_OPERATORS + 1 {
                    self.diagnostics.push(
                        Diagnostic::error(format!("more than {MAX_OPERATORS} operators in one declaration"))
                            .at(right.span)
                            .help("split it, or compute its numbers beforehand"),
                    );
                }
                continue;
            }
            let span = left.span.to(right.span);
            left = Expr { kind: ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }, span };
        }
        left
    }

    fn unary(&mut self, pair: Pair<'_>) -> Expr {
        let span = self.span(&pair);
        let mut parts = Children::of(pair);
        let negated = parts.next_if(Rule::minus).is_some();
        let part = parts.next();
        let inner_span = self.span(&part);
        let inner = match part.as_rule() {
            Rule::number => self.number(part),
            Rule::text => Expr { kind: ExprKind::Text(unescape(part.as_str())), span: inner_span },
            Rule::list => Expr { kind: ExprKind::List(self.all(part, Self::chain)), span: inner_span },
            Rule::group => {
                let inside = self.chain(Children::of(part).next());
                Expr { kind: ExprKind::Group(Box::new(inside)), span: inner_span }
            }
            _ => self.call(part),
        };
        if negated { Expr { kind: ExprKind::Negate(Box::new(inner)), span } } else { inner }
    }

    /// A `call`, or the `source` of a data declaration; with neither arguments nor stages it is a path.
    fn call(&mut self, pair: Pair<'_>) -> Expr {
        let span = self.span(&pair);
        let mut parts = Children::of(pair);
        let name = self.path(parts.next());
        let arguments = parts.next_if(Rule::arguments).map(|p| self.all(p, Self::argument));
        let stages = parts.next_if(Rule::stages).map(|p| self.all(p, Self::stage));
        if arguments.is_none() && stages.is_none() {
            return Expr { span: name.span, kind: ExprKind::Path(name) };
        }
        Expr { kind: ExprKind::Call { name, arguments: arguments.unwrap_or_default(), stages }, span }
    }

    fn number(&mut self, pair: Pair<'_>) -> Expr {
        let span = self.exact(&pair);
        let text = pair.as_str();
        let (digits, suffix) = if let Some(digits) = text.strip_suffix("ms") {
            (digits, Suffix::Milliseconds)
        } else if let Some(digits) = text.strip_suffix('s') {
            (digits, Suffix::Seconds)
        } else if let Some(digits) = text.strip_suffix('x') {
            (digits, Suffix::Times)
        } else {
            (text, Suffix::None)
        };
        let value: f64 = digits.parse().unwrap_or(f64::INFINITY);
        if !value.is_finite() {
            let shown: String = text.chars().take(40).collect();
            self.diagnostics.push(
                Diagnostic::error(format!("the number `{shown}` is too large"))
                    .at(span)
                    .help(format!("the largest number is about {:.1e}", f64::MAX)),
            );
        }
        Expr { kind: ExprKind::Number { value, suffix, text: text.into() }, span }
    }
}

/// The characters of a quoted text.
fn unescape(quoted: &str) -> String {
    let inside = &quoted[1..quoted.len() - 1];
    let mut text = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(escaped) => escaped,
                None => break,
            },
            c => c,
        });
    }
    text
}
