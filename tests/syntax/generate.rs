//! Random trees, and a writer that knows nothing of the formatter: it puts any blanks, line ends and comments between words.
//!
//! Over 400 lines, because the writer goes over every kind of node that the generator makes.

use mtlc::base::Span;
use mtlc::syntax::ast::*;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Names that are keywords, short, long and odd; none is reserved.
const NAMES: [&str; 14] = [
    "a",
    "trunk",
    "in",
    "until",
    "epoch",
    "data",
    "head",
    "true",
    "model",
    "_",
    "x2",
    "layer1",
    "s",
    "a_rather_long_name",
];
const NUMBERS: [&str; 9] = ["0", "64", "0.5", "1e-3", "1E+3", "0.1x", "2ms", "3s", "007"];
const TEXTS: [&str; 6] = ["", "mean texture", "quote \" and \\", "line\nend\tand tab", "α·A # no comment", "{(["];

pub struct Generator {
    pub rng: ChaCha8Rng,
}

impl Generator {
    pub fn file(&mut self) -> File {
        let count = self.rng.gen_range(0..6);
        let declarations =
            (0..count).map(|_| Declaration { kind: self.declaration(), span: Span::default() }).collect();
        File { declarations, comments: vec![] }
    }

    fn declaration(&mut self) -> DeclarationKind {
        match self.rng.gen_range(0..14) {
            0 => DeclarationKind::Model(self.name()),
            1 => DeclarationKind::Input(self.name(), self.type_expr()),
            2 => DeclarationKind::Target(self.name(), self.type_expr()),
            3 => DeclarationKind::Block { name: self.name(), params: self.many(0, Self::param), body: self.body() },
            4 => DeclarationKind::Backbone { name: self.name(), arguments: self.arguments(2), body: self.body() },
            5 => DeclarationKind::Head { name: self.name(), arguments: self.arguments(2), body: self.body() },
            6 => DeclarationKind::Freeze {
                selectors: self.many(1, |g| (g.selector(), g.arguments(2))),
                until: self.rng.gen_bool(0.5).then(|| (self.rng.gen_range(0..99), Span::default())),
            },
            7 => DeclarationKind::Tune(self.many(1, |g| (g.selector(), g.arguments(2)))),
            8 => DeclarationKind::Minimize(self.chain(3)),
            9 => DeclarationKind::Balance(self.call(3, true)),
            10 => DeclarationKind::Measure(self.many(1, |g| g.chain(3))),
            11 => DeclarationKind::Data {
                name: self.name(),
                source: self.call(2, false),
                fields: self.many(0, |g| Field { name: g.name(), value: g.chain(2) }),
            },
            12 => DeclarationKind::Train(self.many(0, |g| Setting { name: g.name(), value: g.chain(2) })),
            _ => DeclarationKind::Serve(self.many(0, |g| Setting { name: g.name(), value: g.chain(2) })),
        }
    }

    fn many<T>(&mut self, least: usize, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.rng.gen_range(least..4);
        (0..count).map(|_| each(self)).collect()
    }

    fn name(&mut self) -> Name {
        Name { text: NAMES.choose(&mut self.rng).unwrap().to_string(), span: Span::default() }
    }

    fn path(&mut self) -> Path {
        let mut segments = vec![self.name().text];
        while self.rng.gen_bool(0.4) {
            segments.push(["0", "12", "*", "conv1", "0a"].choose(&mut self.rng).unwrap().to_string());
        }
        Path { segments, span: Span::default() }
    }

    fn type_expr(&mut self) -> TypeExpr {
        let brackets = self.many(0, |g| g.many(0, |g| g.chain(1)));
        TypeExpr { name: self.name(), brackets, span: Span::default() }
    }

    fn param(&mut self) -> BlockParam {
        BlockParam { name: self.name(), default: self.rng.gen_bool(0.5).then(|| self.chain(2)) }
    }

    fn selector(&mut self) -> Selector {
        // `in in trunk` reads as a kind named `in`, so a kind never follows from chance here.
        let kind = self.rng.gen_bool(0.3).then(|| Name { text: "norm".into(), span: Span::default() });
        let place = match self.rng.gen_range(0..4) {
            0 => Place::Range(self.path(), self.path()),
            1 => Place::Pattern(TEXTS.choose(&mut self.rng).unwrap().to_string()),
            _ => Place::Path(self.path()),
        };
        Selector { kind, place, span: Span::default() }
    }

    fn body(&mut self) -> Body {
        if self.rng.gen_bool(0.5) { Body::Chain(self.chain(3)) } else { Body::Stages(self.many(0, |g| g.stage(3))) }
    }

    fn stage(&mut self, depth: usize) -> Stage {
        Stage { name: self.name(), body: self.chain(depth) }
    }

    fn arguments(&mut self, depth: usize) -> Vec<Argument> {
        self.many(0, |g| {
            let value = g.chain(depth);
            // A label on the first step would be read as the name of the argument.
            let labelled = matches!(&value.kind, ExprKind::Chain(steps) if steps[0].label.is_some());
            let name = (labelled || g.rng.gen_bool(0.5)).then(|| g.name());
            Argument { name, value }
        })
    }

    fn chain(&mut self, depth: usize) -> Expr {
        if depth == 0 || self.rng.gen_bool(0.4) {
            return self.binary(depth, 0);
        }
        let mut steps =
            self.many(1, |g| Step { label: g.rng.gen_bool(0.2).then(|| g.name()), expr: g.binary(depth - 1, 0) });
        if steps.len() == 1 && steps[0].label.is_none() { steps.remove(0).expr } else { expr(ExprKind::Chain(steps)) }
    }

    /// Strength 0: sums, 1: products, 2: what neither splits.
    fn binary(&mut self, depth: usize, strength: usize) -> Expr {
        if strength == 2 {
            return self.unary(depth);
        }
        let mut left = self.binary(depth, strength + 1);
        while depth > 0 && self.rng.gen_bool(0.25) {
            let ops = [[BinaryOp::Add, BinaryOp::Subtract], [BinaryOp::Multiply, BinaryOp::Divide]];
            let op = ops[strength][self.rng.gen_range(0..2)];
            let right = self.binary(depth - 1, strength + 1);
            left = expr(ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) });
        }
        left
    }

    fn unary(&mut self, depth: usize) -> Expr {
        let inner = match self.rng.gen_range(0..if depth == 0 { 3 } else { 7 }) {
            0 => self.number(),
            1 => expr(ExprKind::Text(TEXTS.choose(&mut self.rng).unwrap().to_string())),
            2 => expr(ExprKind::Path(self.path())),
            3 => expr(ExprKind::List(self.many(0, |g| g.chain(depth - 1)))),
            4 => expr(ExprKind::Group(Box::new(self.chain(depth - 1)))),
            _ => self.call(depth - 1, true),
        };
        if self.rng.gen_bool(0.1) { expr(ExprKind::Negate(Box::new(inner))) } else { inner }
    }

    fn number(&mut self) -> Expr {
        let text = *NUMBERS.choose(&mut self.rng).unwrap();
        let (digits, suffix) = match text {
            "0.1x" => ("0.1", Suffix::Times),
            "2ms" => ("2", Suffix::Milliseconds),
            "3s" => ("3", Suffix::Seconds),
            text => (text, Suffix::None),
        };
        expr(ExprKind::Number { value: digits.parse().unwrap(), suffix, text: text.into() })
    }

    fn call(&mut self, depth: usize, stages: bool) -> Expr {
        let name = self.path();
        let stages = (stages && self.rng.gen_bool(0.3)).then(|| self.many(0, |g| g.stage(depth)));
        expr(ExprKind::Call { name, arguments: self.arguments(depth), stages })
    }
}

fn expr(kind: ExprKind) -> Expr {
    Expr { kind, span: Span::default() }
}

/// The words of a text.
#[derive(Default)]
pub struct Writer {
    pub words: Vec<String>,
}

impl Writer {
    pub fn file(&mut self, file: &File) {
        for declaration in &file.declarations {
            self.declaration(&declaration.kind);
        }
    }

    /// The words with random blanks between them, and the comments put in.
    pub fn layout(&self, rng: &mut ChaCha8Rng, comments: bool) -> (String, Vec<String>) {
        let (mut text, mut written) = (String::new(), vec![]);
        for word in &self.words {
            text.push_str(word);
            match rng.gen_range(0..20) {
                0 => text.push('\n'),
                1 => text.push_str("\n\n \n\t"),
                2 if comments => {
                    let comment = format!("# {}", written.len());
                    text.push_str(&format!("{}{comment} \r\n", ["", " ", "\n", "\n\n"].choose(rng).unwrap()));
                    written.push(comment);
                }
                _ => text.push(' '),
            }
        }
        (text, written)
    }

    fn word(&mut self, word: &str) {
        self.words.push(word.into());
    }

    fn enclosed<T>(&mut self, open: &str, items: &[T], close: &str, mut each: impl FnMut(&mut Self, &T)) {
        self.word(open);
        self.separated(items, &mut each);
        if close != "}" && items.len() == 2 {
            self.word(",");
        }
        self.word(close);
    }

    fn separated<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.word(",");
            }
            each(self, item);
        }
    }

    fn declaration(&mut self, kind: &DeclarationKind) {
        match kind {
            DeclarationKind::Model(name) => self.words.extend(["model".into(), name.text.clone()]),
            DeclarationKind::Input(name, t) => self.value("input", name, t),
            DeclarationKind::Target(name, t) => self.value("target", name, t),
            DeclarationKind::Block { name, params, body } => {
                self.words.extend(["block".into(), name.text.clone()]);
                if !params.is_empty() {
                    self.enclosed("(", params, ")", |w, p| {
                        w.word(&p.name.text);
                        if let Some(default) = &p.default {
                            w.word(":");
                            w.expression(default);
                        }
                    });
                }
                self.body(body);
            }
            DeclarationKind::Backbone { name, arguments, body } => {
                self.words.extend(["backbone".into(), name.text.clone()]);
                self.arguments(arguments);
                self.body(body);
            }
            DeclarationKind::Head { name, arguments, body } => {
                self.words.extend(["head".into(), name.text.clone()]);
                self.arguments(arguments);
                self.body(body);
            }
            DeclarationKind::Freeze { selectors, until } => {
                self.word("freeze");
                self.separated(selectors, |w, (selector, arguments)| {
                    w.selector(selector);
                    if !arguments.is_empty() {
                        w.arguments(arguments);
                    }
                });
                if let Some((epoch, _)) = until {
                    self.words.extend(["until".into(), "epoch".into(), epoch.to_string()]);
                }
            }
            DeclarationKind::Tune(rules) => {
                self.word("tune");
                self.separated(rules, |w, (selector, arguments)| {
                    w.selector(selector);
                    w.arguments(arguments);
                });
            }
            DeclarationKind::Minimize(formula) => {
                self.word("minimize");
                self.expression(formula);
            }
            DeclarationKind::Balance(call) => {
                self.word("balance");
                self.expression(call);
            }
            DeclarationKind::Measure(measures) => {
                self.word("measure");
                self.separated(measures, Self::expression);
            }
            DeclarationKind::Data { name, source, fields } => {
                self.words.extend(["data".into(), name.text.clone(), "=".into()]);
                self.expression(source);
                self.word("{");
                for field in fields {
                    self.words.extend([field.name.text.clone(), "=".into()]);
                    self.expression(&field.value);
                }
                self.word("}");
            }
            DeclarationKind::Train(settings) => self.settings("train", settings),
            DeclarationKind::Serve(settings) => self.settings("serve", settings),
        }
    }

    fn value(&mut self, keyword: &str, name: &Name, t: &TypeExpr) {
        self.words.extend([keyword.into(), name.text.clone(), ":".into(), t.name.text.clone()]);
        for bracket in &t.brackets {
            self.enclosed("[", bracket, "]", Self::expression);
        }
    }

    fn settings(&mut self, keyword: &str, settings: &[Setting]) {
        self.word(keyword);
        self.enclosed("{", settings, "}", |w, setting| {
            w.words.extend([setting.name.text.clone(), ":".into()]);
            w.expression(&setting.value);
        });
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Chain(chain) => {
                self.word("=");
                self.expression(chain);
            }
            Body::Stages(stages) => self.stages(stages),
        }
    }

    fn stages(&mut self, stages: &[Stage]) {
        self.word("{");
        for stage in stages {
            self.words.extend([stage.name.text.clone(), ":".into()]);
            self.expression(&stage.body);
        }
        self.word("}");
    }

    fn selector(&mut self, selector: &Selector) {
        if let Some(kind) = &selector.kind {
            self.words.extend([kind.text.clone(), "in".into()]);
        }
        match &selector.place {
            Place::Path(path) => self.word(&path.to_string()),
            Place::Range(path, to) => self.words.extend([path.to_string(), "..".into(), to.to_string()]),
            Place::Pattern(text) => self.text(text),
        }
    }

    fn text(&mut self, text: &str) {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        self.words.push(format!("\"{text}\""));
    }

    fn arguments(&mut self, arguments: &[Argument]) {
        self.enclosed("(", arguments, ")", |w, argument| {
            if let Some(name) = &argument.name {
                w.words.extend([name.text.clone(), ":".into()]);
            }
            w.expression(&argument.value);
        });
    }

    fn expression(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Number { text, .. } => self.word(text),
            ExprKind::Text(text) => self.text(text),
            ExprKind::Path(path) => self.word(&path.to_string()),
            ExprKind::Call { name, arguments, stages } => {
                self.word(&name.to_string());
                if stages.is_none() || !arguments.is_empty() {
                    self.arguments(arguments);
                }
                stages.iter().for_each(|stages| self.stages(stages));
            }
            ExprKind::List(items) => self.enclosed("[", items, "]", Self::expression),
            ExprKind::Negate(inner) => {
                self.word("-");
                self.expression(inner);
            }
            ExprKind::Group(inner) => self.enclosed("(", std::slice::from_ref(&**inner), ")", Self::expression),
            ExprKind::Binary { op, left, right } => {
                self.expression(left);
                self.word(op.symbol());
                self.expression(right);
            }
            ExprKind::Chain(steps) => {
                for (i, step) in steps.iter().enumerate() {
                    if i > 0 {
                        self.word("->");
                    }
                    if let Some(label) = &step.label {
                        self.words.extend([label.text.clone(), ":".into()]);
                    }
                    self.expression(&step.expr);
                }
            }
        }
    }
}
