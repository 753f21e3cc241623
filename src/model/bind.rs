//! Expressions to values, and calls to signatures.
//!
//! Evaluation knows numbers, words, lists, arithmetic, and the parameters of the block around. Binding gives each argument
//! to a parameter, checks its kind and fills in defaults. What is wrong goes to the binder's diagnostics.

mod named;

use super::catalog::{catalog, kind_of};
use crate::base::signature::{
    Arg, Args, Call, Default as DefaultValue, Kind, PartKind, Signature, Value, with_article,
};
use crate::base::{Diagnostic, Diagnostics, Span};
use crate::syntax::ast::{Argument, BinaryOp, Expr, ExprKind, Stage, Suffix};
use crate::syntax::parser::parse_expression;
use std::collections::BTreeMap;

/// The parameters of the block around, with their values.
pub type Scope = BTreeMap<String, Value>;

/// Layers given as an argument, not yet expanded.
#[derive(Clone, Copy, Debug)]
pub enum Layers<'a> {
    Expr(&'a Expr),
    Stages(&'a [Stage]),
}

/// A bound call, and its arguments that are layers, in the order of their [`Value::Chain`] numbers.
pub struct Bound<'a> {
    pub call: Call,
    pub chains: Vec<Layers<'a>>,
}

#[derive(Default)]
pub struct Binder {
    pub diagnostics: Diagnostics,
}

impl Binder {
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// A call, or a bare name, of a part of that kind.
    pub fn part<'a>(&mut self, expr: &'a Expr, kind: PartKind, scope: &Scope) -> Option<Bound<'a>> {
        let (name, arguments, stages) = match &expr.kind {
            ExprKind::Path(path) => (path, &[][..], None),
            ExprKind::Call { name, arguments, stages } => (name, &arguments[..], stages.as_deref()),
            ExprKind::Group(inner) => return self.part(inner, kind, scope),
            _ => {
                let message = format!("expected a {}", kind.noun());
                self.report(Diagnostic::error(message).at(expr.span));
                return None;
            }
        };
        let list = catalog(kind);
        let Some(signature) = list.iter().copied().find(|s| s.name == name.to_string()) else {
            let message = format!("there is no {} `{name}`", kind.noun());
            let diagnostic = Diagnostic::error(message).at(name.span);
            self.report(match kind_of(&name.to_string()) {
                Some(other) => diagnostic.help(format!("`{name}` is {}", with_article(other.noun()))),
                None => diagnostic.suggest(&name.to_string(), list.iter().map(|s| s.name)),
            });
            return None;
        };
        self.call(signature, arguments, stages, expr.span, scope)
    }

    /// Binds arguments to a signature. Reports everything that is wrong with them at once.
    pub fn call<'a>(
        &mut self,
        signature: &'static Signature,
        arguments: &'a [Argument],
        stages: Option<&'a [Stage]>,
        span: Span,
        scope: &Scope,
    ) -> Option<Bound<'a>> {
        let errors = self.diagnostics.0.len();
        let mut args = Args::default();
        let mut chains = vec![];
        let mut position = 0;
        for argument in arguments {
            let param = match &argument.name {
                Some(name) => named::parameter(signature, &name.text).or_else(|| {
                    let noun = if signature.kind == PartKind::Settings { "setting" } else { "argument" };
                    let message = format!("`{}` has no {noun} `{}`", signature.name, name.text);
                    let known = signature.params.iter().map(|p| p.name);
                    let diagnostic = Diagnostic::error(message).at(name.span);
                    let takes_layers = signature.params.iter().any(|p| matches!(p.kind, Kind::Chain));
                    self.report(if takes_layers && matches!(argument.value.kind, ExprKind::Chain(_)) {
                        // Between parentheses a name before a colon is an argument's, so the layers need braces.
                        let call = format!("{} {{ {}: … }}", signature.name, name.text);
                        diagnostic.help(format!("layers with names of their own stand in braces: `{call}`"))
                    } else {
                        diagnostic.suggest(&name.text, known)
                    });
                    None
                }),
                None => {
                    let param = signature.params.get(position);
                    if !param.is_some_and(|p| matches!(p.kind, Kind::Rest(_))) {
                        position += 1;
                    }
                    if param.is_none() {
                        let (name, most) = (signature.name, signature.params.len());
                        let message = at_most(&format!("`{name}`"), most);
                        self.report(Diagnostic::error(message).label(argument.value.span, "one too many"));
                    }
                    param
                }
            };
            let Some(param) = param else { continue };
            let value_span = argument.value.span;
            if let Kind::Rest(kind) = &param.kind {
                let Some(value) = self.fit(kind, &argument.value, scope, &mut chains, param.name, signature) else {
                    continue;
                };
                let rest = args.0.entry(param.name).or_insert(Arg { value: Value::List(vec![]), span: value_span });
                if let Value::List(list) = &mut rest.value {
                    rest.span = rest.span.to(value_span);
                    list.push(Arg { value, span: value_span });
                }
                continue;
            }
            if let Kind::Named(kind) = &param.kind {
                self.named(kind, param, argument, signature, scope, &mut args);
                continue;
            }
            if args.has(param.name) {
                let first = args.span(param.name).unwrap_or_default();
                let diagnostic = Diagnostic::error(format!("`{}` is given twice", param.name)).at(value_span);
                self.report(diagnostic.label(first, "the first one"));
                continue;
            }
            if let Some(value) = self.fit(&param.kind, &argument.value, scope, &mut chains, param.name, signature) {
                args.0.insert(param.name, Arg { value, span: value_span });
            }
        }
        if let Some(stages) = stages {
            match signature.params.iter().find(|p| matches!(p.kind, Kind::Chain)) {
                Some(param) if !args.has(param.name) => {
                    chains.push(Layers::Stages(stages));
                    args.0.insert(param.name, Arg { value: Value::Chain(chains.len() - 1), span });
                }
                _ => self.report(Diagnostic::error(format!("`{}` takes no layers in braces", signature.name)).at(span)),
            }
        }
        let failed = self.diagnostics.0.len() > errors;
        for param in signature.params {
            if failed || args.has(param.name) {
                continue;
            }
            match param.default {
                DefaultValue::Absent => {}
                DefaultValue::Required => {
                    let message = format!("`{}` needs `{}`", signature.name, param.name);
                    let help = format!("`{}`: {} ({})", param.name, param.doc, param.kind.describe());
                    self.report(Diagnostic::error(message).at(span).help(help));
                }
                DefaultValue::Is(text) => {
                    let value = self.default_value(param.kind, text, signature, param.name);
                    args.0.insert(param.name, Arg { value, span });
                }
            }
        }
        // The order of the signature, so that equal calls print and compare alike.
        args.0.sort_by_key(|name, _| signature.params.iter().position(|p| p.name == *name));
        (self.diagnostics.0.len() == errors).then_some(Bound { call: Call { signature, args, span }, chains })
    }

    /// The value of a default, which is part of our own tables.
    fn default_value(&mut self, kind: Kind, text: &'static str, signature: &Signature, param: &'static str) -> Value {
        let bug = |what: String| -> ! { panic!("bug: the default `{text}` of `{}`: `{param}` {what}", signature.name) };
        let expr = parse_expression(text).unwrap_or_else(|e| bug(e.render(None, false)));
        let mut binder = Binder::default();
        let value = binder.fit(&kind, &expr, &Scope::new(), &mut vec![], param, signature);
        value.unwrap_or_else(|| bug(binder.diagnostics.render(None, false)))
    }

    /// The argument as a value of that kind, or a diagnostic and nothing.
    fn fit<'a>(
        &mut self,
        kind: &Kind,
        expr: &'a Expr,
        scope: &Scope,
        chains: &mut Vec<Layers<'a>>,
        param: &str,
        signature: &Signature,
    ) -> Option<Value> {
        let kinds = if let Kind::Either(kinds) = kind { kinds } else { std::slice::from_ref(kind) };
        let names_layers = kinds.iter().any(|k| matches!(k, Kind::Chain));
        if let (Kind::List(Kind::Part(part)), ExprKind::List(items)) = (kind, &expr.kind) {
            let each = |item| {
                let call = self.part(item, *part, scope)?.call;
                Some(Arg { value: Value::Part(call), span: item.span })
            };
            // Every item is bound before the first that is wrong counts, so that all of them are told.
            let bound: Vec<Option<Arg>> = items.iter().map(each).collect();
            return bound.into_iter().collect::<Option<_>>().map(Value::List);
        }
        let parts = |k: &Kind| matches!(k, Kind::Part(_) | Kind::List(Kind::Part(_)));
        let value = self.evaluate(expr, scope, names_layers || kinds.iter().any(parts))?;
        if let Some(value) = value.as_ref().and_then(|v| kinds.iter().find_map(|k| fits(k, v))) {
            return Some(value);
        }
        if let Some(Kind::Part(part)) = kinds.iter().find(|k| matches!(k, Kind::Part(_)))
            && is_name_or_call(expr)
        {
            return self.part(expr, *part, scope).map(|bound| Value::Part(bound.call));
        }
        if names_layers && value.as_ref().is_none_or(|v| matches!(v, Value::Word(_))) {
            chains.push(Layers::Expr(expr));
            return Some(Value::Chain(chains.len() - 1));
        }
        self.report(misfit(kind, expr, value.as_ref(), scope, param, signature));
        None
    }

    /// The value of an expression. The outer `None` means that something wrong was reported; the inner one, that it has no
    /// value by itself because it names layers or a part, which only happens where `calls` allows it.
    fn evaluate(&mut self, expr: &Expr, scope: &Scope, calls: bool) -> Option<Option<Value>> {
        Some(Some(match &expr.kind {
            ExprKind::Number { value, suffix, .. } => match suffix {
                Suffix::Times => Value::Factor(*value),
                Suffix::Milliseconds => Value::Duration(*value),
                Suffix::Seconds => Value::Duration(*value * 1000.0),
                Suffix::None => number(*value),
            },
            ExprKind::Text(text) => Value::Text(text.clone()),
            ExprKind::Path(path) => match path.to_string().as_str() {
                "true" => Value::Flag(true),
                "false" => Value::Flag(false),
                word => scope.get(word).cloned().unwrap_or(Value::Word(word.into())),
            },
            ExprKind::List(items) => {
                let mut list = vec![];
                for item in items {
                    let value = self.evaluate(item, scope, false)??;
                    list.push(Arg { value, span: item.span });
                }
                Value::List(list)
            }
            ExprKind::Group(inner) => return self.evaluate(inner, scope, calls),
            ExprKind::Negate(inner) => number(-self.number(inner, scope)?),
            ExprKind::Binary { op, left, right } => {
                let (a, b) = (self.number(left, scope)?, self.number(right, scope)?);
                let result = match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Subtract => a - b,
                    BinaryOp::Multiply => a * b,
                    BinaryOp::Divide => a / b,
                };
                if !result.is_finite() {
                    self.report(Diagnostic::error(format!("{a} {} {b} is no number", op.symbol())).at(expr.span));
                    return None;
                }
                number(result)
            }
            ExprKind::Call { .. } | ExprKind::Chain(_) if calls => return Some(None),
            ExprKind::Call { .. } | ExprKind::Chain(_) => {
                self.report(Diagnostic::error("expected a value, not a call").at(expr.span));
                return None;
            }
        }))
    }

    /// The number that an expression comes to.
    pub fn number(&mut self, expr: &Expr, scope: &Scope) -> Option<f64> {
        match self.evaluate(expr, scope, false)?? {
            Value::Int(n) => Some(n as f64),
            Value::Float(x) => Some(x),
            other => {
                let mut diagnostic = Diagnostic::error("expected a number").at(expr.span);
                if let Value::Word(word) = other {
                    diagnostic = diagnostic.suggest(&word, scope.keys().map(String::as_str));
                }
                self.report(diagnostic);
                None
            }
        }
    }

    /// The value of a block's argument: anything but layers.
    pub fn value(&mut self, expr: &Expr, scope: &Scope) -> Option<Value> {
        self.evaluate(expr, scope, false)?
    }
}

fn is_name_or_call(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Path(_) | ExprKind::Call { .. })
}

/// Why an argument is not of the kind that its parameter asks for, and what may have been meant.
fn misfit(
    kind: &Kind,
    expr: &Expr,
    value: Option<&Value>,
    scope: &Scope,
    param: &str,
    signature: &Signature,
) -> Diagnostic {
    let message = format!("`{param}` of `{}` is {}", signature.name, kind.describe());
    let kinds = if let Kind::Either(kinds) = kind { kinds } else { std::slice::from_ref(kind) };
    let words = kinds.iter().find_map(|k| if let Kind::Word(words) = k { Some(*words) } else { None });
    let is_literal = matches!(expr.kind, ExprKind::Number { .. } | ExprKind::Negate(_));
    let here = match value {
        Some(Value::Int(n)) if !is_literal => format!("here it is {n}"),
        Some(Value::Float(x)) if !is_literal => format!("here it is {x}"),
        _ => String::new(),
    };
    let diagnostic = Diagnostic::error(message).label(expr.span, here);
    match value {
        Some(Value::Text(text)) if text.parse::<f64>().is_ok() => {
            diagnostic.help(format!("write the number without quotes: `{text}`"))
        }
        Some(Value::Factor(x)) => {
            diagnostic.help(format!("write `{x}`; a multiple such as `{x}x` of the optimizer's rate stands in `tune`"))
        }
        Some(Value::Int(n)) if kinds.iter().any(|k| matches!(k, Kind::Duration)) => {
            diagnostic.help(format!("write the unit, `{n}ms` or `{n}s`"))
        }
        Some(Value::Text(text)) if words.is_some_and(|words| words.contains(&text.as_str())) => {
            diagnostic.help(format!("write the word without quotes: `{text}`"))
        }
        Some(Value::Word(word)) if words.is_some() => diagnostic.suggest(word, words.into_iter().flatten().copied()),
        Some(Value::Word(word)) if kinds.iter().any(|k| matches!(k, Kind::Text)) => {
            diagnostic.help(format!("write it in quotes: `\"{word}\"`"))
        }
        Some(Value::Word(word)) if !scope.is_empty() => diagnostic
            .note(format!("the block around has no parameter `{word}`"))
            .suggest(word, scope.keys().map(String::as_str)),
        Some(Value::Int(n)) if *n > MOST && kinds.iter().any(|k| matches!(k, Kind::Count | Kind::Integer)) => {
            diagnostic.help(format!("it is at most {MOST}"))
        }
        _ => match signature.params.iter().find(|p| p.name == param) {
            Some(param) => diagnostic.help(format!("`{}`: {}", param.name, param.doc)),
            None => diagnostic,
        },
    }
}

/// That something takes so many arguments and no more.
pub fn at_most(what: &str, most: usize) -> String {
    match most {
        0 => format!("{what} takes no arguments"),
        _ => format!("{what} takes at most {most} {}", plural(most, "argument")),
    }
}

/// The largest integer, so that the product of any two sizes can be computed.
const MOST: i64 = 1 << 30;

/// Whole numbers are integers, whatever arithmetic made them.
fn number(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 9e15 { Value::Int(x as i64) } else { Value::Float(x) }
}

/// The value as one of that kind.
fn fits(kind: &Kind, value: &Value) -> Option<Value> {
    let int = |least: i64, most: i64| value.as_int().filter(|n| *n >= least && *n <= most).map(Value::Int);
    let plain = matches!(value, Value::Int(_) | Value::Float(_));
    let float = |holds: fn(f64) -> bool| {
        value.as_float().filter(|x| plain && x.is_finite() && holds(*x)).map(|_| value.clone())
    };
    match kind {
        Kind::Count => int(1, MOST),
        // Seeds are whole numbers too, and use all 32 bits.
        Kind::Whole => int(0, i64::from(u32::MAX)),
        Kind::Integer => int(-MOST, MOST),
        Kind::Number => float(|_| true),
        Kind::Positive => float(|x| x > 0.0),
        Kind::NonNegative => float(|x| x >= 0.0),
        Kind::Fraction => float(|x| (0.0..1.0).contains(&x)),
        Kind::Factor => matches!(value, Value::Factor(_)).then(|| value.clone()),
        Kind::Duration => matches!(value, Value::Duration(_)).then(|| value.clone()),
        Kind::Flag => matches!(value, Value::Flag(_)).then(|| value.clone()),
        Kind::Text => matches!(value, Value::Text(_)).then(|| value.clone()),
        Kind::Word(words) => match value {
            Value::Word(word) if words.contains(&word.as_str()) => Some(value.clone()),
            _ => None,
        },
        Kind::List(kind) => match value {
            Value::List(list) => {
                let each = |arg: &Arg| Some(Arg { value: fits(kind, &arg.value)?, span: arg.span });
                list.iter().map(each).collect::<Option<Vec<_>>>().map(Value::List)
            }
            _ => None,
        },
        Kind::Either(kinds) => kinds.iter().find_map(|k| fits(k, value)),
        Kind::Prediction | Kind::Target => matches!(value, Value::Word(_)).then(|| value.clone()),
        Kind::Rest(_) | Kind::Named(_) | Kind::Part(_) | Kind::Chain => None,
    }
}

pub fn plural(n: usize, noun: &str) -> String {
    if n == 1 { noun.into() } else { format!("{noun}s") }
}
