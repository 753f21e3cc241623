//! Problems with the contents of files, told together: the first in full, a few more by their places, the rest counted.

use super::form::Fault;
use crate::base::{Diagnostic, Diagnostics, Span};

/// How many problems of one kind a diagnostic shows.
const SHOWN: usize = 5;

/// Problems of one kind.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<(String, Fault)>,
    count: usize,
}

impl Problems {
    pub fn add(&mut self, place: impl FnOnce() -> String, fault: Fault) {
        if self.found.len() < SHOWN {
            self.found.push((place(), fault));
        }
        self.count += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One diagnostic for all of them, pointing at `span` of the spec as well.
    pub fn diagnostic(self, span: Option<Span>) -> Option<Diagnostic> {
        let rest = self.count - self.found.len();
        let mut found = self.found.into_iter();
        let (place, fault) = found.next()?;
        let mut diagnostic = Diagnostic::error(fault.message).place(place);
        if let Some(span) = span {
            diagnostic = diagnostic.at(span);
        }
        for (place, fault) in found {
            diagnostic = diagnostic.note(format!("{place}: {}", fault.message));
        }
        if rest > 0 {
            diagnostic = diagnostic.note(format!("and {rest} more"));
        }
        Some(match fault.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        })
    }

    /// Adds that diagnostic, if there is one.
    pub fn report(self, span: Option<Span>, to: &mut Diagnostics) {
        if let Some(diagnostic) = self.diagnostic(span) {
            to.push(diagnostic);
        }
    }
}

/// Names for a message: all of them, or the first few.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.len().checked_sub(MOST) {
        None | Some(0) => names.join(", "),
        Some(rest) => format!("{} and {rest} more", names[..MOST].join(", ")),
    }
}

/// `did you mean …`, or what there is when nothing is close.
pub fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    match crate::base::diagnostic::closest(word, known.clone()) {
        Some(best) => Some(format!("did you mean `{best}`?")),
        None => Some(list(known)).filter(|list| !list.is_empty()).map(|list| format!("there is {list}")),
    }
}

/// Adds [`suggestion`] to a diagnostic.
pub fn suggest<'a>(to: Diagnostic, word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Diagnostic {
    match suggestion(word, known) {
        Some(help) => to.help(help),
        None => to,
    }
}
