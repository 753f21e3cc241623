//! Lines of entries: the declarations of a file, or what stands in a pair of braces.
//!
//! Entries without an empty line between them form a run. Neighbours of one kind in a run have their marks in one column;
//! keywords of one family take the width of the longest.

use super::Formatter;
use crate::base::Span;
use crate::syntax::doc::Doc;
use std::rc::Rc;

/// Keywords that are read together, such as `freeze` and `tune`.
#[derive(Clone, Copy, PartialEq)]
pub enum Family {
    Alone,
    /// `input`, `target`
    Values,
    /// `freeze`, `tune`
    Rules,
    /// `minimize`, `balance`, `measure`
    Aims,
}

/// `KEYWORD HEAD BODY`. Entries in braces have no keyword, and many declarations no head.
pub struct Entry {
    pub span: Span,
    keyword: &'static str,
    family: Family,
    pub head: Rc<Doc>,
    pub body: Rc<Doc>,
    /// The body starts in the column of its neighbours' bodies.
    aligned: bool,
    /// Further lines of the body start in the column of its first.
    hanging: bool,
}

/// A head wider than this stands for itself.
const WIDEST_ALIGNED: usize = 48;

impl Entry {
    pub fn new(span: Span, keyword: &'static str, body: Doc) -> Self {
        let (head, body) = (Rc::new(Doc::nothing()), Rc::new(body));
        Self { span, keyword, family: Family::Alone, head, body, aligned: false, hanging: false }
    }

    pub fn head(mut self, head: Doc) -> Self {
        self.head = Rc::new(head);
        self
    }

    pub fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    pub fn aligned(mut self) -> Self {
        self.aligned = self.head.flat_width() <= WIDEST_ALIGNED;
        self
    }

    pub fn hanging(mut self) -> Self {
        self.hanging = true;
        self
    }

    fn same_family(&self, other: &Entry) -> bool {
        self.keyword == other.keyword || (self.family == other.family && self.family != Family::Alone)
    }

    fn same_columns(&self, other: &Entry) -> bool {
        self.aligned && other.aligned && self.keyword == other.keyword
    }

    /// The line of the entry, its keyword and head padded to a width.
    fn line(self, keyword_width: usize, head_width: usize) -> Doc {
        let mut docs = vec![];
        if !self.keyword.is_empty() {
            docs.push(Doc::text(format!("{:keyword_width$} ", self.keyword)));
        }
        let width = self.head.flat_width();
        if width > 0 {
            let padding = " ".repeat(head_width.saturating_sub(width) + 1);
            docs.extend([Doc::Shared(self.head), Doc::text(padding)]);
        }
        let body = Doc::Shared(self.body);
        docs.push(if self.hanging { Doc::nest(keyword_width + 1, body) } else { body });
        Doc::Concat(docs)
    }
}

/// An entry with the comments around it.
struct Placed {
    entry: Entry,
    /// The comments above it, each with whether an empty line stands before it.
    above: Vec<(bool, String)>,
    /// Whether an empty line stands before the entry itself.
    empty: bool,
    /// The comment behind it.
    behind: Option<Doc>,
}

impl Placed {
    fn begins_run(&self) -> bool {
        self.empty || self.above.iter().any(|(empty, _)| *empty)
    }
}

impl Formatter<'_> {
    /// Every entry and comment of `region` on its own lines.
    pub fn lines(&mut self, region: Span, entries: Vec<Entry>) -> Doc {
        let (placed, rest) = self.place(region, entries);
        let mut lines: Vec<(bool, Doc)> = vec![];
        let mut placed = placed.into_iter().peekable();
        while let Some(first) = placed.next() {
            let mut run = vec![first];
            while let Some(next) = placed.next_if(|p| !p.begins_run()) {
                run.push(next);
            }
            let widths = widths(&run);
            for (Placed { entry, above, empty, behind }, (keyword, head)) in run.into_iter().zip(widths) {
                lines.extend(above.into_iter().map(|(empty, comment)| (empty, Doc::Text(comment))));
                let line = entry.line(keyword, head);
                lines.push((empty, Doc::Concat(std::iter::once(line).chain(behind).collect())));
            }
        }
        lines.extend(rest.into_iter().map(|(empty, comment)| (empty, Doc::Text(comment))));
        let mut docs = vec![];
        for (i, (empty, line)) in lines.into_iter().enumerate() {
            if i > 0 {
                docs.push(if empty { Doc::EmptyLine } else { Doc::HardLine });
            }
            docs.push(line);
        }
        Doc::Concat(docs)
    }

    /// The entries with their comments, and the comments behind the last.
    fn place(&mut self, region: Span, entries: Vec<Entry>) -> (Vec<Placed>, Vec<(bool, String)>) {
        let nexts: Vec<usize> = entries.iter().skip(1).map(|e| e.span.start).chain([region.end]).collect();
        let mut placed = vec![];
        // The end of what stands before; nothing stands before the first.
        let mut end = None;
        let mut gap = region.start;
        for (entry, next) in entries.into_iter().zip(nexts) {
            let mut above = self.own_lines(&mut end, Span::new(gap, entry.span.start));
            let mut empty = end.is_some_and(|end| self.empty_line(end, entry.span.start));
            for amid in self.take(entry.span) {
                above.push((std::mem::take(&mut empty), amid));
            }
            let behind = self.trailing(entry.span.end, next);
            gap = entry.span.end;
            end = Some(gap);
            placed.push(Placed { entry, above, empty, behind });
        }
        let rest = self.own_lines(&mut end, Span::new(gap, region.end));
        (placed, rest)
    }

    /// The comments of `gap` that have no place yet, on lines of their own behind `end`.
    fn own_lines(&mut self, end: &mut Option<usize>, gap: Span) -> Vec<(bool, String)> {
        let comments = self.take_at(gap);
        let mut lines = vec![];
        for comment in comments.into_iter().map(|i| &self.comments[i]) {
            let empty = end.is_some_and(|end| self.empty_line(end, comment.span.start));
            lines.push((empty, comment.text.clone()));
            *end = Some(comment.span.end);
        }
        lines
    }
}

/// The widths of keyword and head for each entry of a run.
fn widths(run: &[Placed]) -> Vec<(usize, usize)> {
    let mut keywords = vec![];
    for family in run.chunk_by(|a, b| a.entry.same_family(&b.entry)) {
        let width = family.iter().map(|p| p.entry.keyword.len()).max().unwrap_or(0);
        keywords.extend(family.iter().map(|_| width));
    }
    let mut heads = vec![];
    for columns in run.chunk_by(|a, b| a.entry.same_columns(&b.entry)) {
        let width = columns.iter().map(|p| p.entry.head.flat_width()).max().unwrap_or(0);
        heads.extend(columns.iter().map(|_| width));
    }
    keywords.into_iter().zip(heads).collect()
}
