//! A text with places where its lines may end, laid out in the width of a line.
//!
//! The printer is Wadler's ("A prettier printer", 2003): a group stands on one line when it fits there, else the line ends of
//! the group itself, not of the groups in it, are taken. The work is linear in the size of the document.

use std::rc::Rc;

/// Columns of a line.
pub const WIDTH: usize = 100;

#[derive(Clone, Debug)]
pub enum Doc {
    Text(String),
    /// A comment at the end of the line; it has no width, and a line end follows it.
    Comment(String),
    /// A blank, or a line end in a broken group.
    Line,
    /// Nothing, or a line end in a broken group.
    SoftLine,
    /// Always a line end.
    HardLine,
    /// A line end and an empty line.
    EmptyLine,
    /// Only in a broken group.
    IfBroken(&'static str),
    Concat(Vec<Doc>),
    Nest(usize, Box<Doc>),
    Group(Box<Doc>),
    /// The first on one line when it fits, else the second.
    Choice(Rc<Doc>, Rc<Doc>),
    /// A part that stands in both sides of a choice.
    Shared(Rc<Doc>),
}

impl Doc {
    pub fn text(text: impl Into<String>) -> Doc {
        Doc::Text(text.into())
    }

    pub fn nothing() -> Doc {
        Doc::Concat(vec![])
    }

    pub fn nest(columns: usize, doc: Doc) -> Doc {
        Doc::Nest(columns, Box::new(doc))
    }

    pub fn group(doc: Doc) -> Doc {
        Doc::Group(Box::new(doc))
    }

    /// Columns that the document takes on one line.
    pub fn flat_width(&self) -> usize {
        match self {
            Doc::Text(text) => text.chars().count(),
            Doc::Line => 1,
            Doc::Concat(docs) => docs.iter().map(Doc::flat_width).sum(),
            Doc::Nest(_, doc) | Doc::Group(doc) => doc.flat_width(),
            Doc::Choice(doc, _) | Doc::Shared(doc) => doc.flat_width(),
            Doc::Comment(_) | Doc::SoftLine | Doc::HardLine | Doc::EmptyLine | Doc::IfBroken(_) => 0,
        }
    }
}

#[derive(Clone, Copy)]
struct Command<'a> {
    indent: usize,
    flat: bool,
    doc: &'a Doc,
}

/// A finished line: its code and the comment behind it.
#[derive(Default)]
struct Row {
    code: String,
    comment: String,
}

/// The document as text, with the comments of adjacent lines aligned.
pub fn render(doc: &Doc) -> String {
    let mut rows = vec![Row::default()];
    let mut column = 0;
    let mut stack = vec![Command { indent: 0, flat: false, doc }];
    while let Some(command) = stack.pop() {
        let Command { indent, flat, doc } = command;
        let row = rows.last_mut().expect("there is always a row");
        match doc {
            Doc::Text(text) => {
                if row.code.is_empty() && !text.is_empty() {
                    row.code = " ".repeat(column);
                }
                row.code.push_str(text);
                column += text.chars().count();
            }
            Doc::Comment(text) => {
                let gap = if row.comment.is_empty() { "" } else { "  " };
                row.comment = format!("{}{gap}{text}", row.comment);
            }
            Doc::Line if flat => {
                row.code.push(' ');
                column += 1;
            }
            Doc::SoftLine | Doc::IfBroken(_) if flat => {}
            Doc::IfBroken(text) => {
                row.code.push_str(text);
                column += text.len();
            }
            Doc::Line | Doc::SoftLine | Doc::HardLine | Doc::EmptyLine => {
                if matches!(doc, Doc::EmptyLine) {
                    rows.push(Row::default());
                }
                rows.push(Row::default());
                column = indent;
            }
            Doc::Concat(docs) => stack.extend(docs.iter().rev().map(|doc| Command { doc, ..command })),
            Doc::Nest(more, doc) => stack.push(Command { indent: indent + more, flat, doc }),
            Doc::Shared(doc) => stack.push(Command { doc, ..command }),
            Doc::Group(doc) => {
                let flat = flat || fits(Command { indent, flat: true, doc }, &stack, column);
                stack.push(Command { indent, flat, doc });
            }
            Doc::Choice(short, long) => {
                let flat = flat || fits(Command { indent, flat: true, doc: short }, &stack, column);
                stack.push(Command { indent, flat, doc: if flat { short } else { long } });
            }
        }
    }
    join(&mut rows)
}

/// Whether `next`, and what stands behind it up to the first possible line end, fits behind `column`.
fn fits(next: Command<'_>, rest: &[Command<'_>], column: usize) -> bool {
    let mut room = WIDTH as isize - column as isize;
    let mut stack = vec![next];
    let mut rest = rest.iter().rev();
    while room >= 0 {
        let Some(command) = stack.pop().or_else(|| rest.next().copied()) else { return true };
        match command.doc {
            Doc::Text(text) => room -= text.chars().count() as isize,
            Doc::Comment(_) => {}
            Doc::Line | Doc::SoftLine if !command.flat => return true,
            Doc::Line => room -= 1,
            Doc::SoftLine => {}
            Doc::HardLine | Doc::EmptyLine => return !command.flat,
            Doc::IfBroken(text) => room -= if command.flat { 0 } else { text.len() as isize },
            Doc::Concat(docs) => stack.extend(docs.iter().rev().map(|doc| Command { doc, ..command })),
            Doc::Nest(_, doc) | Doc::Group(doc) => stack.push(Command { doc, ..command }),
            Doc::Shared(doc) => stack.push(Command { doc, ..command }),
            Doc::Choice(short, long) => stack.push(Command { doc: if command.flat { short } else { long }, ..command }),
        }
    }
    false
}

/// Comments start two columns behind the longest of the adjacent lines that have one; a very long line counts for itself.
fn join(rows: &mut [Row]) -> String {
    const FAR: usize = 76;
    let mut text = String::new();
    for run in rows.chunk_by_mut(|a, b| a.comment.is_empty() == b.comment.is_empty()) {
        let width = |row: &Row| row.code.trim_end().chars().count();
        let longest = run.iter().map(width).filter(|w| *w <= FAR).max().unwrap_or(0);
        for row in run {
            let code = row.code.trim_end();
            text.push_str(code);
            if !row.comment.is_empty() {
                let gap = if code.is_empty() { 0 } else { longest.saturating_sub(width(row)) + 2 };
                text.push_str(&" ".repeat(gap));
                text.push_str(&row.comment);
            }
            text.push('\n');
        }
    }
    text
}
