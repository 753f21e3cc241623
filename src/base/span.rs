//! Places in source text.

/// A half-open byte range `start..end` in one [`Source`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// The place of what no source says: a value given on the command line. It is never shown.
    pub const NOWHERE: Span = Span { start: usize::MAX, end: usize::MAX };

    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that covers both.
    pub fn to(self, other: Span) -> Span {
        if self == Self::NOWHERE || other == Self::NOWHERE {
            return self.min(other);
        }
        Span::new(self.start.min(other.start), self.end.max(other.end))
    }
}

/// A named text: a spec file, or a piece of one given on the command line.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name that diagnostics show, usually the path as the user gave it.
    pub name: String,
    pub text: String,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The text of `span`.
    pub fn slice(&self, span: Span) -> &str {
        &self.text[span.start..span.end]
    }

    /// Line and column of a byte offset, both counted from 1, the column in characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..offset.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }
}
