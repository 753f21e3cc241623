//! The syntax tree of a spec: what was written, with the place of everything, and nothing resolved.

use crate::base::Span;

/// A whole spec file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    pub declarations: Vec<Declaration>,
    /// Every comment, in the order of the text. The formatter puts each back beside what it was written beside.
    pub comments: Vec<Comment>,
}

/// `# …` up to the end of the line; `text` has the `#` and no trailing blanks.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    pub text: String,
    pub span: Span,
}

/// A single identifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

/// `trunk.layer2.0.conv1`, possibly with `*` for any one segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    pub segments: Vec<String>,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    pub kind: DeclarationKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DeclarationKind {
    /// `model NAME`
    Model(Name),
    /// `input NAME: TYPE`
    Input(Name, TypeExpr),
    /// `target NAME: TYPE`
    Target(Name, TypeExpr),
    /// `block NAME(PARAM, PARAM: DEFAULT) = BODY`
    Block { name: Name, params: Vec<BlockParam>, body: Body },
    /// `backbone NAME(ARGUMENTS) = BODY`
    Backbone { name: Name, arguments: Vec<Argument>, body: Body },
    /// `head NAME(ARGUMENTS) = BODY`
    Head { name: Name, arguments: Vec<Argument>, body: Body },
    /// `freeze SELECTOR [(ARGUMENTS)], … [until epoch N]`
    Freeze { selectors: Vec<(Selector, Vec<Argument>)>, until: Option<(u64, Span)> },
    /// `tune SELECTOR (ARGUMENTS), …`
    Tune(Vec<(Selector, Vec<Argument>)>),
    /// `minimize EXPRESSION`
    Minimize(Expr),
    /// `balance CALL`
    Balance(Expr),
    /// `measure CALL, …`
    Measure(Vec<Expr>),
    /// `data NAME = CALL { FIELD = CHAIN … }`
    Data { name: Name, source: Expr, fields: Vec<Field> },
    /// `train { SETTING: EXPRESSION, … }`
    Train(Vec<Setting>),
    /// `serve { SETTING: EXPRESSION, … }`
    Serve(Vec<Setting>),
}

/// `f32[3, 224, 224]`, `class["cat", "dog"]`, `class[2][64, 64]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeExpr {
    pub name: Name,
    /// The contents of each pair of brackets.
    pub brackets: Vec<Vec<Expr>>,
    pub span: Span,
}

/// A parameter of a block, with its default.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockParam {
    pub name: Name,
    pub default: Option<Expr>,
}

/// What stands behind the `=` of a block, backbone or head, or in braces in its place.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `a -> b -> c`
    Chain(Expr),
    /// `{ stem: a -> b  layer1: c }`: named stages, run one after the other.
    Stages(Vec<Stage>),
}

/// `NAME: CHAIN` in a brace body.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    pub name: Name,
    pub body: Expr,
}

/// `[NAME:] EXPRESSION` between parentheses.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    pub name: Option<Name>,
    pub value: Expr,
}

/// What `freeze` and `tune` point at: `trunk`, `trunk.stem .. trunk.layer1`, `"trunk.*.norm*"`, `norm in trunk`.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The kind of layer, in `norm in trunk`.
    pub kind: Option<Name>,
    pub place: Place,
    pub span: Span,
}

/// Where a selector points.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Path(Path),
    /// From one stage or step to another.
    Range(Path, Path),
    /// A text, in which `*` stands for any letters of a segment and `**` for any segments.
    Pattern(String),
}

/// `NAME = CHAIN` in a data block.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: Name,
    pub value: Expr,
}

/// `NAME: EXPRESSION` in a train or serve block.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub name: Name,
    pub value: Expr,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `64`, `1e-3`, `0.1x`, `2ms`, with the text as it was written.
    Number { value: f64, suffix: Suffix, text: String },
    /// A quoted string, unescaped.
    Text(String),
    /// A name or path by itself: a layer without arguments, a head, a word, a block's parameter.
    Path(Path),
    /// `conv(64, 3, stride: 2)`, or with a brace body behind: `residual { a: conv(64, 3)  b: norm }`.
    Call { name: Path, arguments: Vec<Argument>, stages: Option<Vec<Stage>> },
    /// `[0.9, 0.1]`
    List(Vec<Expr>),
    /// `-x`
    Negate(Box<Expr>),
    /// `a * b`
    Binary { op: BinaryOp, left: Box<Expr>, right: Box<Expr> },
    /// `a -> b -> c`, at least two steps, or one that has a label.
    Chain(Vec<Step>),
    /// `(a + b)`
    Group(Box<Expr>),
}

/// A step of a chain, with its label if it has one: `conv1: conv(64, 3)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub label: Option<Name>,
    pub expr: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    None,
    /// `0.1x`: a multiple.
    Times,
    /// `2ms`
    Milliseconds,
    /// `3s`
    Seconds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl BinaryOp {
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
        }
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.segments.join("."))
    }
}
