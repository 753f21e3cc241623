//! The tree as text, for snapshots and for the curious: one line a node, children indented, no places.
//!
//! Equal texts mean equal trees but for places and comments.

use super::ast::*;
use std::fmt::Write;

/// All declarations of `file`.
pub fn print(file: &File) -> String {
    let mut printer = Printer { text: String::new(), depth: 0 };
    for declaration in &file.declarations {
        printer.declaration(&declaration.kind);
    }
    printer.text
}

struct Printer {
    text: String,
    depth: usize,
}

impl Printer {
    /// A node, then what `children` prints below it.
    fn node(&mut self, line: &str, children: impl FnOnce(&mut Self)) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:indent$}{line}", "", indent = self.depth * 2);
        self.depth += 1;
        children(self);
        self.depth -= 1;
    }

    fn leaf(&mut self, line: &str) {
        self.node(line, |_| {});
    }

    fn declaration(&mut self, kind: &DeclarationKind) {
        match kind {
            DeclarationKind::Model(name) => self.leaf(&format!("model {}", name.text)),
            DeclarationKind::Input(name, type_expr) => self.value("input", name, type_expr),
            DeclarationKind::Target(name, type_expr) => self.value("target", name, type_expr),
            DeclarationKind::Block { name, params, body } => self.node(&format!("block {}", name.text), |p| {
                for param in params {
                    let line = format!("param {}", param.name.text);
                    p.node(&line, |p| param.default.iter().for_each(|default| p.expression("", default)));
                }
                p.body(body);
            }),
            DeclarationKind::Backbone { name, arguments, body } => {
                self.node(&format!("backbone {}", name.text), |p| {
                    p.arguments(arguments);
                    p.body(body);
                });
            }
            DeclarationKind::Head { name, arguments, body } => self.node(&format!("head {}", name.text), |p| {
                p.arguments(arguments);
                p.body(body);
            }),
            DeclarationKind::Freeze { selectors, until } => {
                let until = until.map_or(String::new(), |(epoch, _)| format!(" until epoch {epoch}"));
                self.node(&format!("freeze{until}"), |p| {
                    for (s, arguments) in selectors {
                        p.node(&selector(s), |p| p.arguments(arguments));
                    }
                });
            }
            DeclarationKind::Tune(rules) => self.node("tune", |p| {
                for (s, arguments) in rules {
                    p.node(&selector(s), |p| p.arguments(arguments));
                }
            }),
            DeclarationKind::Minimize(formula) => self.node("minimize", |p| p.expression("", formula)),
            DeclarationKind::Balance(call) => self.node("balance", |p| p.expression("", call)),
            DeclarationKind::Measure(measures) => {
                self.node("measure", |p| measures.iter().for_each(|m| p.expression("", m)));
            }
            DeclarationKind::Data { name, source, fields } => self.node(&format!("data {}", name.text), |p| {
                p.expression("source: ", source);
                for field in fields {
                    p.expression(&format!("{} = ", field.name.text), &field.value);
                }
            }),
            DeclarationKind::Train(settings) => self.settings("train", settings),
            DeclarationKind::Serve(settings) => self.settings("serve", settings),
        }
    }

    fn value(&mut self, keyword: &str, name: &Name, type_expr: &TypeExpr) {
        self.node(&format!("{keyword} {}: {}", name.text, type_expr.name.text), |p| {
            for bracket in &type_expr.brackets {
                p.node("[]", |p| bracket.iter().for_each(|item| p.expression("", item)));
            }
        });
    }

    fn settings(&mut self, keyword: &str, settings: &[Setting]) {
        self.node(keyword, |p| {
            for setting in settings {
                p.expression(&format!("{}: ", setting.name.text), &setting.value);
            }
        });
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Chain(chain) => self.expression("= ", chain),
            Body::Stages(stages) => self.stages(stages),
        }
    }

    fn stages(&mut self, stages: &[Stage]) {
        self.node("stages", |p| {
            for stage in stages {
                p.expression(&format!("{}: ", stage.name.text), &stage.body);
            }
        });
    }

    fn arguments(&mut self, arguments: &[Argument]) {
        for argument in arguments {
            let name = argument.name.as_ref().map_or("- ".into(), |name| format!("- {}: ", name.text));
            self.expression(&name, &argument.value);
        }
    }

    fn expression(&mut self, before: &str, expr: &Expr) {
        match &expr.kind {
            ExprKind::Number { text, .. } => self.leaf(&format!("{before}{text}")),
            ExprKind::Text(text) => self.leaf(&format!("{before}{text:?}")),
            ExprKind::Path(path) => self.leaf(&format!("{before}{path}")),
            ExprKind::Call { name, arguments, stages } => self.node(&format!("{before}call {name}"), |p| {
                p.arguments(arguments);
                stages.iter().for_each(|stages| p.stages(stages));
            }),
            ExprKind::List(items) => {
                self.node(&format!("{before}[]"), |p| items.iter().for_each(|item| p.expression("", item)));
            }
            ExprKind::Negate(inner) => self.node(&format!("{before}negate"), |p| p.expression("", inner)),
            ExprKind::Group(inner) => self.node(&format!("{before}group"), |p| p.expression("", inner)),
            ExprKind::Binary { op, left, right } => self.node(&format!("{before}{}", op.symbol()), |p| {
                p.expression("", left);
                p.expression("", right);
            }),
            ExprKind::Chain(steps) => self.node(&format!("{before}chain"), |p| {
                for step in steps {
                    let label = step.label.as_ref().map_or("-> ".into(), |label| format!("-> {}: ", label.text));
                    p.expression(&label, &step.expr);
                }
            }),
        }
    }
}

fn selector(selector: &Selector) -> String {
    let kind = selector.kind.as_ref().map_or(String::new(), |kind| format!("{} in ", kind.text));
    match &selector.place {
        Place::Path(path) => format!("{kind}{path}"),
        Place::Range(path, to) => format!("{kind}{path} .. {to}"),
        Place::Pattern(text) => format!("{kind}{text:?}"),
    }
}
