//! A first look at a spec: its words and marks, its comments, and what no grammar could make sense of.
//!
//! In comes any text, out come its tokens in order. Tokens never overlap and everything between them is blank. The parser
//! asks this table where constructs end, where declarations begin and what stands at a place it does not like; the formatter
//! asks it for comments and braces.

use super::ast::Comment;
use crate::base::{Diagnostic, Diagnostics, Span};
use std::ops::Range;

/// The words that begin a declaration.
pub const DECLARATIONS: [&str; 14] = [
    "model", "input", "target", "block", "backbone", "head", "freeze", "tune", "minimize", "balance", "measure",
    "data", "train", "serve",
];

/// Brackets nested deeper than this are refused, which bounds the recursion of everything that walks a tree.
pub const MAX_NESTING: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    Word,
    Number,
    Text,
    /// A text without its closing quote.
    OpenText,
    Comment,
    /// `(`, `->`, `..` and the like.
    Mark,
    /// Characters that mean nothing in a spec.
    Stray,
}

#[derive(Clone, Copy, Debug)]
pub struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

pub struct Scan<'a> {
    pub text: &'a str,
    /// Everything but comments.
    pub tokens: Vec<Token>,
    pub comments: Vec<Comment>,
}

impl<'a> Scan<'a> {
    pub fn new(text: &'a str) -> Self {
        let mut scan = Scan { text, tokens: vec![], comments: vec![] };
        // Some editors begin a file with a mark of its encoding.
        let mut at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        while let Some(first) = text[at..].chars().next() {
            if first.is_ascii_whitespace() {
                at += 1;
                continue;
            }
            let (kind, length) = token(&text[at..], first);
            let span = Span::new(at, at + length);
            at = span.end;
            if kind == TokenKind::Comment {
                let comment = text[span.start..span.end].trim_end();
                scan.comments
                    .push(Comment { text: comment.into(), span: Span::new(span.start, span.start + comment.len()) });
                continue;
            }
            match scan.tokens.last_mut() {
                Some(last) if kind == TokenKind::Stray && last.kind == kind && last.span.end == span.start => {
                    last.span.end = span.end;
                }
                _ => scan.tokens.push(Token { kind, span }),
            }
        }
        scan
    }

    pub fn text_of(&self, token: Token) -> &'a str {
        &self.text[token.span.start..token.span.end]
    }

    /// The end of the last token that ends at or before `offset`: where a construct ends without the blanks behind it.
    pub fn end_before(&self, offset: usize) -> usize {
        let count = self.tokens.partition_point(|t| t.span.end <= offset);
        count.checked_sub(1).map_or(0, |last| self.tokens[last].span.end)
    }

    /// The index of the first token that starts at or behind `offset`.
    pub fn index_at(&self, offset: usize) -> usize {
        self.tokens.partition_point(|t| t.span.start < offset)
    }

    /// The tokens of each declaration, as far as lines tell: a word in the first column begins one, and inside brackets only
    /// a keyword of a declaration that is no name of an entry does, so that an unclosed bracket swallows little.
    pub fn declarations(&self) -> Vec<Range<usize>> {
        let mut starts = vec![0];
        let mut depth = 0usize;
        for (i, &token) in self.tokens.iter().enumerate() {
            let first_column = token.span.start == 0 || self.text.as_bytes()[token.span.start - 1] == b'\n';
            if token.kind == TokenKind::Word && first_column && i > 0 {
                let entry = self.tokens.get(i + 1).is_some_and(|&t| matches!(self.text_of(t), ":" | "="));
                if depth == 0 || (DECLARATIONS.contains(&self.text_of(token)) && !entry) {
                    starts.push(i);
                    depth = 0;
                }
            }
            match self.text_of(token) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        let ends = starts.iter().skip(1).copied().chain([self.tokens.len()]);
        starts.iter().copied().zip(ends).map(|(start, end)| start..end).filter(|r| !r.is_empty()).collect()
    }

    /// What is wrong with some tokens before any grammar is asked: stray characters, quotes and brackets.
    pub fn check(&self, tokens: Range<usize>) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        let mut open: Vec<Token> = vec![];
        let mut too_deep = false;
        let tokens = &self.tokens[tokens];
        // A text without its end hides the brackets behind it, so nothing can be said about brackets then.
        let hidden = tokens.iter().any(|t| t.kind == TokenKind::OpenText);
        for &token in tokens {
            let text = self.text_of(token);
            match token.kind {
                TokenKind::Stray => diagnostics.push(stray(text, token.span)),
                TokenKind::OpenText => diagnostics.push(
                    Diagnostic::error("this text has no closing quote")
                        .at(token.span)
                        .help("a text ends on the line it starts on; write `\\n` for a line end"),
                ),
                TokenKind::Text => self.check_escapes(token, &mut diagnostics),
                TokenKind::Mark if matches!(text, "(" | "[" | "{") && !hidden => {
                    open.push(token);
                    if open.len() > MAX_NESTING && !too_deep {
                        too_deep = true;
                        diagnostics.push(
                            Diagnostic::error(format!("brackets are nested more than {MAX_NESTING} deep"))
                                .at(token.span)
                                .help("name a part of this as a `block`"),
                        );
                    }
                }
                TokenKind::Mark if matches!(text, ")" | "]" | "}") && !hidden => match open.pop() {
                    Some(opener) if closing(self.text_of(opener)) != text && !too_deep => {
                        let (opener_text, wanted) = (self.text_of(opener), closing(self.text_of(opener)));
                        diagnostics.push(
                            Diagnostic::error(format!("`{opener_text}` is closed by `{text}`"))
                                .label(token.span, format!("expected `{wanted}`"))
                                .label(opener.span, "opened here")
                                .help(format!("write `{wanted}`, or close the brackets in between first")),
                        );
                        // What follows is guesswork: the brackets no longer tell what belongs together.
                        return diagnostics;
                    }
                    Some(_) => {}
                    None => diagnostics.push(
                        Diagnostic::error(format!("`{text}` closes nothing"))
                            .at(token.span)
                            .help(format!("remove it, or write the `{}` that it closes", opening(text))),
                    ),
                },
                _ => {}
            }
        }
        if let (Some(&opener), false) = (open.last(), too_deep) {
            let text = self.text_of(opener);
            diagnostics.push(
                Diagnostic::error(format!("`{text}` is never closed"))
                    .at(opener.span)
                    .help(format!("write the `{}` that closes it before the next declaration", closing(text))),
            );
        }
        diagnostics
    }

    fn check_escapes(&self, token: Token, diagnostics: &mut Diagnostics) {
        let mut chars = self.text_of(token).char_indices();
        while let Some((at, c)) = chars.next() {
            if c != '\\' {
                continue;
            }
            let Some((_, escaped)) = chars.next() else { return };
            if !matches!(escaped, '"' | '\\' | 'n' | 't') {
                let start = token.span.start + at;
                diagnostics.push(
                    Diagnostic::error(format!("`\\{escaped}` means nothing in a text"))
                        .at(Span::new(start, start + 1 + escaped.len_utf8()))
                        .help("the escapes are `\\\"`, `\\\\`, `\\n` and `\\t`; write `\\\\` for a backslash"),
                );
            }
        }
    }
}

/// Kind and length of the token that `rest`, which is not blank, begins with.
fn token(rest: &str, first: char) -> (TokenKind, usize) {
    let bytes = rest.as_bytes();
    match first {
        '#' => (TokenKind::Comment, rest.find('\n').unwrap_or(rest.len())),
        '"' => text(bytes),
        'a'..='z' | 'A'..='Z' | '_' => (TokenKind::Word, letters(bytes, 0)),
        '0'..='9' => (TokenKind::Number, number(bytes)),
        _ if rest.starts_with("->") || rest.starts_with("..") => (TokenKind::Mark, 2),
        _ if rest.starts_with("=>") || rest.starts_with("//") || rest.starts_with("==") => (TokenKind::Stray, 2),
        '(' | ')' | '[' | ']' | '{' | '}' | ',' | ':' | '=' | '.' | '+' | '-' | '*' | '/' => (TokenKind::Mark, 1),
        _ => (TokenKind::Stray, first.len_utf8()),
    }
}

fn letters(bytes: &[u8], from: usize) -> usize {
    from + bytes[from..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count()
}

/// Takes what a person would read as one number, right or wrong: `1e-3`, `0.1x`, `12abc`.
fn number(bytes: &[u8]) -> usize {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = letters(bytes, 0);
    if bytes.get(end) == Some(&b'.') && digit(end + 1) {
        end = letters(bytes, end + 1);
    }
    let exponent = matches!(bytes[end - 1], b'e' | b'E') && matches!(bytes.get(end), Some(b'+' | b'-'));
    if exponent && digit(end + 1) { letters(bytes, end + 1) } else { end }
}

fn text(bytes: &[u8]) -> (TokenKind, usize) {
    let mut at = 1;
    loop {
        match bytes.get(at) {
            None | Some(b'\n' | b'\r') => return (TokenKind::OpenText, at),
            Some(b'"') => return (TokenKind::Text, at + 1),
            Some(b'\\') if !matches!(bytes.get(at + 1), None | Some(b'\n' | b'\r')) => at += 2,
            Some(_) => at += 1,
        }
    }
}

fn closing(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

fn opening(close: &str) -> &'static str {
    match close {
        ")" => "(",
        "]" => "[",
        _ => "{",
    }
}

fn stray(text: &str, span: Span) -> Diagnostic {
    let shown: String = text
        .chars()
        .take(20)
        .map(|c| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() })
        .collect();
    let diagnostic = Diagnostic::error(format!("`{shown}` means nothing in a spec")).at(span);
    match text.chars().next() {
        Some('=') if text.starts_with("=>") => diagnostic.help("steps are joined by `->`"),
        Some('=') => diagnostic.help("write `=` where a name gets its meaning"),
        Some('|' | '>') => diagnostic.help("steps are joined by `->`"),
        Some('\'' | '`' | '“' | '”' | '‘' | '’') => diagnostic.help("a text stands in double quotes, `\"`"),
        Some('/') => diagnostic.help("a comment starts with `#`"),
        Some(';') => diagnostic.help("nothing marks the end of a declaration; remove it"),
        _ => diagnostic.help("remove it, or put it in a text or a comment"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_what_a_person_would_read() {
        let scan = Scan::new("freeze a.0..b.1 # x \n 1e-3 0.1x -> \"a\\\"b\" ∑∑");
        let words: Vec<_> = scan.tokens.iter().map(|&t| scan.text_of(t)).collect();
        assert_eq!(words, ["freeze", "a", ".", "0", "..", "b", ".", "1", "1e-3", "0.1x", "->", "\"a\\\"b\"", "∑∑"]);
        assert_eq!(scan.comments[0].text, "# x");
    }

    #[test]
    fn a_word_in_the_first_column_begins_a_declaration_unless_it_names_an_entry() {
        let scan = Scan::new("model a\ndata d = csv(\"x\") {\ninput = b\n}\ntrain {\nhead x(y) = z\n");
        let starts: Vec<_> = scan.declarations().iter().map(|r| scan.text_of(scan.tokens[r.start])).collect();
        assert_eq!(starts, ["model", "data", "train", "head"]);
    }
}
