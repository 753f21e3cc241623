//! Where comments go. Each is placed exactly once, by the innermost part that it belongs to.

use super::Formatter;
use crate::base::Span;
use crate::syntax::doc::Doc;
use std::ops::Range;

impl Formatter<'_> {
    /// The comments in `span` that have no place yet.
    pub fn take(&mut self, span: Span) -> Vec<String> {
        self.take_at(span).into_iter().map(|i| self.comments[i].text.clone()).collect()
    }

    /// Their indices.
    pub fn take_at(&mut self, span: Span) -> Vec<usize> {
        let taken: Vec<usize> = self.within(span).filter(|&i| !self.placed[i]).collect();
        for &i in &taken {
            self.placed[i] = true;
        }
        taken
    }

    /// Whether comments, placed or not, begin in `span`.
    pub fn commented(&self, span: Span) -> bool {
        !self.within(span).is_empty()
    }

    fn within(&self, span: Span) -> Range<usize> {
        let before = |offset: usize| self.comments.partition_point(|c| c.span.start < offset);
        before(span.start)..before(span.end)
    }

    /// The comment that stands on the line where `start` is, before `end`.
    pub fn trailing(&mut self, start: usize, end: usize) -> Option<Doc> {
        let line_end = self.text[start..end].find('\n').map_or(end, |n| start + n);
        self.take(Span::new(start, line_end)).pop().map(Doc::Comment)
    }

    /// Whether an empty line stands between two places.
    pub fn empty_line(&self, start: usize, end: usize) -> bool {
        let lines: Vec<&str> = self.text[start.min(end)..end].split('\n').collect();
        lines.len() > 2 && lines[1..lines.len() - 1].iter().any(|line| line.trim().is_empty())
    }
}
