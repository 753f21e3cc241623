//! A stand-in for the parser and binder, for data blocks only: text in, a bound `DataSpec` out.
//!
//! `csv("a.csv", split: [1.0]) { in x: f32[2] = columns(all) -> standardize; y: class[3] = column("y") }`

use mtlc::base::signature::{Arg, Args, Call, Default, Kind, Signature, Value};
use mtlc::base::{DType, Source, Span, Type};
use mtlc::data::{Classes, DataSpec, FieldSpec, FieldType, Role, columns, sources, steps};
use std::path::Path;

pub fn spec(text: &str, root: &Path) -> (DataSpec, Source) {
    let mut p = Parser { text, at: 0 };
    let source = p.call(&sources());
    p.eat("{");
    let mut fields = vec![];
    while !p.eats("}") {
        fields.push(p.field());
    }
    let spec = DataSpec { name: "data".into(), source, fields, root: root.to_path_buf() };
    (spec, Source::new("test.mtl", text))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn skip(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';').len();
    }

    fn eats(&mut self, word: &str) -> bool {
        self.skip();
        let found = self.text[self.at..].starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn eat(&mut self, word: &str) {
        assert!(self.eats(word), "expected `{word}` at `{}`", &self.text[self.at..]);
    }

    fn take(&mut self, part: impl Fn(char) -> bool) -> String {
        self.skip();
        let word: String = self.text[self.at..].chars().take_while(|&c| part(c)).collect();
        self.at += word.len();
        word
    }

    fn word(&mut self) -> String {
        self.take(|c| c.is_alphanumeric() || c == '_')
    }

    fn value(&mut self) -> Arg {
        self.skip();
        let start = self.at;
        let value = match self.text[start..].chars().next() {
            Some('"') => {
                self.at += 1;
                let end = self.at + self.text[self.at..].find('"').expect("a closing quote");
                let text = self.text[self.at..end].to_string();
                self.at = end + 1;
                Value::Text(text)
            }
            Some('[') => {
                self.at += 1;
                let mut list = vec![];
                while !self.eats("]") {
                    list.push(self.value());
                    self.eats(",");
                }
                Value::List(list)
            }
            Some(c) if c.is_ascii_digit() || c == '-' => {
                let number = self.take(|c| c.is_ascii_digit() || "-.e".contains(c));
                number.parse().map(Value::Int).unwrap_or_else(|_| Value::Float(number.parse().expect("a number")))
            }
            _ => match self.word().as_str() {
                "true" => Value::Flag(true),
                "false" => Value::Flag(false),
                word => Value::Word(word.into()),
            },
        };
        Arg { value, span: Span::new(start, self.at) }
    }

    fn call(&mut self, known: &[&'static Signature]) -> Call {
        self.skip();
        let start = self.at;
        let name = self.word();
        let signature = known.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no `{name}`"));
        let mut args = Args::default();
        let mut position = 0;
        let mut end = self.at;
        if self.eats("(") {
            while !self.eats(")") {
                let before = self.at;
                let name = self.word();
                if !name.is_empty() && self.eats(":") {
                    let param = signature.params.iter().find(|p| p.name == name).expect("a parameter of that name");
                    args.0.insert(param.name, self.value());
                } else {
                    self.at = before;
                    let arg = self.value();
                    let param = &signature.params[position];
                    if let Kind::Rest(_) = param.kind {
                        let list = Value::List(vec![]);
                        let rest = args.0.entry(param.name).or_insert(Arg { value: list, span: arg.span });
                        let Value::List(list) = &mut rest.value else { panic!("the rest is a list") };
                        list.push(arg);
                    } else {
                        args.0.insert(param.name, arg);
                        position += 1;
                    }
                }
                self.eats(",");
            }
            end = self.at;
        }
        let span = Span::new(start, end);
        for param in signature.params {
            match param.default {
                _ if args.has(param.name) => {}
                Default::Is(text) => {
                    let value = Parser { text, at: 0 }.value().value;
                    args.0.insert(param.name, Arg { value, span });
                }
                Default::Absent => {}
                Default::Required => panic!("`{name}` needs `{}`", param.name),
            }
        }
        Call { signature, args, span }
    }

    /// `[in] NAME: TYPE = COLUMN -> STEP -> …`, where TYPE is `f32[…]`, `class[N]` or `class["a", …]`, a class map
    /// `class[N][…]`, or `tokens[N]` with an optional vocabulary, `tokens[N] < 40`.
    fn field(&mut self) -> FieldSpec {
        self.skip();
        let start = self.at;
        let is_input = self.eats("in ");
        let name = self.word();
        let span = Span::new(start, self.at);
        self.eat(":");
        let ty = self.ty();
        self.eat("=");
        let column = self.call(&columns());
        let mut chain = vec![];
        while self.eats("->") {
            chain.push(self.call(&steps()));
        }
        let role = if is_input { Role::Input(ty) } else { Role::Target(ty) };
        FieldSpec { name, role, column, steps: chain, span }
    }

    fn ty(&mut self) -> FieldType {
        let name = self.word();
        let sizes = |arg: &Arg| -> Vec<usize> {
            let Value::List(list) = &arg.value else { return vec![] };
            list.iter().filter_map(|arg| arg.value.as_int()).map(|n| n as usize).collect()
        };
        let first = if self.text[self.at..].starts_with('[') { Some(self.value()) } else { None };
        let dims = first.as_ref().map(sizes).unwrap_or_default();
        match name.as_str() {
            "f32" => FieldType { ty: Type::batched(DType::F32, &dims), classes: None, vocabulary: None },
            "tokens" => {
                let vocabulary = self.eats("<").then(|| self.value().value.as_int().expect("a size") as usize);
                FieldType { ty: Type::batched(DType::I64, &dims), classes: None, vocabulary }
            }
            "class" => {
                let Some(Arg { value: Value::List(list), .. }) = &first else { panic!("classes in brackets") };
                let names: Vec<String> = list.iter().filter_map(|a| a.value.as_text()).map(String::from).collect();
                let classes = match names.is_empty() {
                    true => Classes { count: dims[0], names: None },
                    false => Classes { count: names.len(), names: Some(names) },
                };
                let map = if self.text[self.at..].starts_with('[') { sizes(&self.value()) } else { vec![] };
                FieldType { ty: Type::batched(DType::I64, &map), classes: Some(classes), vocabulary: None }
            }
            "boxes" => {
                let most = sizes(&self.value())[0];
                let classes = Some(Classes { count: dims[0], names: None });
                FieldType { ty: Type::batched(DType::F32, &[most, 5]), classes, vocabulary: None }
            }
            other => panic!("no type `{other}`"),
        }
    }
}
