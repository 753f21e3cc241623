//! The layout of expressions.

use super::Formatter;
use crate::syntax::ast::*;
use crate::syntax::doc::Doc;

impl Formatter<'_> {
    pub fn expression(&mut self, expr: &Expr) -> Doc {
        Doc::group(self.broken(expr, 2))
    }

    /// The expression without a group of its own: its line ends are those of the group around it, `indent` columns in.
    pub fn broken(&mut self, expr: &Expr, indent: usize) -> Doc {
        match &expr.kind {
            ExprKind::Number { text, .. } => Doc::text(text),
            ExprKind::Text(text) => Doc::Text(quote(text)),
            ExprKind::Path(path) => Doc::Text(path.to_string()),
            ExprKind::Call { name, arguments, stages } => {
                let mut docs = vec![Doc::Text(name.to_string())];
                if !arguments.is_empty() || stages.is_none() {
                    docs.push(self.arguments(arguments));
                }
                if let Some(stages) = stages {
                    docs.extend([Doc::text(" "), self.stages(stages, expr.span.end, true)]);
                }
                Doc::Concat(docs)
            }
            ExprKind::List(items) => {
                let items = items.iter().map(|item| self.expression(item)).collect();
                self.enclosed("[", items, "]")
            }
            ExprKind::Negate(inner) => Doc::Concat(vec![Doc::text("-"), self.expression(inner)]),
            ExprKind::Group(inner) => {
                let inner = self.expression(inner);
                self.enclosed("(", vec![inner], ")")
            }
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right, indent),
            ExprKind::Chain(steps) => {
                let mut docs = vec![];
                for (i, step) in steps.iter().enumerate() {
                    let label = step.label.as_ref().map_or(String::new(), |label| format!("{}: ", label.text));
                    let step = Doc::Concat(vec![Doc::Text(label), self.expression(&step.expr)]);
                    docs.push(match i {
                        0 => step,
                        _ => Doc::nest(indent, Doc::Concat(vec![Doc::Line, Doc::text("-> "), step])),
                    });
                }
                Doc::Concat(docs)
            }
        }
    }

    /// Operators of one strength break together.
    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, indent: usize) -> Doc {
        let sum = |op| matches!(op, BinaryOp::Add | BinaryOp::Subtract);
        let mut docs = vec![];
        let mut operands = vec![(op, right)];
        let mut first = left;
        while let ExprKind::Binary { op: inner, left, right } = &first.kind
            && sum(*inner) == sum(op)
        {
            operands.push((*inner, right));
            first = left;
        }
        docs.push(self.expression(first));
        for (op, operand) in operands.into_iter().rev() {
            let operand = self.expression(operand);
            let symbol = Doc::text(format!("{} ", op.symbol()));
            docs.push(Doc::nest(indent, Doc::Concat(vec![Doc::Line, symbol, operand])));
        }
        Doc::Concat(docs)
    }

    pub fn arguments(&mut self, arguments: &[Argument]) -> Doc {
        let arguments = arguments.iter().map(|a| {
            let name = a.name.as_ref().map_or(String::new(), |name| format!("{}: ", name.text));
            Doc::Concat(vec![Doc::Text(name), self.expression(&a.value)])
        });
        let arguments = arguments.collect();
        self.enclosed("(", arguments, ")")
    }

    pub fn param(&mut self, param: &BlockParam) -> Doc {
        match &param.default {
            Some(default) => Doc::Concat(vec![Doc::text(format!("{}: ", param.name.text)), self.expression(default)]),
            None => Doc::text(&param.name.text),
        }
    }

    pub fn type_expr(&mut self, type_expr: &TypeExpr) -> Doc {
        let mut docs = vec![Doc::text(&type_expr.name.text)];
        for bracket in &type_expr.brackets {
            let items = bracket.iter().map(|item| self.expression(item)).collect();
            docs.push(self.enclosed("[", items, "]"));
        }
        Doc::Concat(docs)
    }

    /// Items in brackets, one a line when they do not fit; several then end with a comma.
    pub fn enclosed(&self, open: &str, items: Vec<Doc>, close: &str) -> Doc {
        if items.is_empty() {
            return Doc::text(format!("{open}{close}"));
        }
        let mut inside = vec![Doc::SoftLine];
        let several = items.len() > 1;
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                inside.extend([Doc::text(","), Doc::Line]);
            }
            inside.push(item);
        }
        if several {
            inside.push(Doc::IfBroken(","));
        }
        let inside = Doc::nest(2, Doc::Concat(inside));
        Doc::group(Doc::Concat(vec![Doc::text(open), inside, Doc::SoftLine, Doc::text(close)]))
    }

    /// Items with commas between them.
    pub fn separated(&self, items: Vec<Doc>) -> Doc {
        let mut docs = vec![];
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                docs.extend([Doc::text(","), Doc::Line]);
            }
            docs.push(item);
        }
        Doc::group(Doc::Concat(docs))
    }
}

pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
