//! The one type for everything that can be wrong with what a user gave, and its one renderer.
//!
//! A diagnostic says what is wrong (a lowercase phrase, no full stop), where (labels in the spec, or a place in another
//! file), why (notes) and what to write instead (help). Stages return all of their diagnostics at once.

use super::span::{Source, Span};
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet, renderer::DecorStyle};
use serde_json::json;

/// What a stage returns: its product, or everything that is wrong.
pub type Result<T> = std::result::Result<T, Diagnostics>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// A span of the spec with a remark. The first label of a diagnostic is its place.
#[derive(Clone, Debug)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    pub message: String,
    pub labels: Vec<Label>,
    /// A place outside the spec: `wdbc.csv:17, column "diagnosis"`.
    pub place: Option<String>,
    pub notes: Vec<String>,
    pub help: Vec<String>,
}

impl Diagnostic {
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            labels: vec![],
            place: None,
            notes: vec![],
            help: vec![],
        }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Points at the spec; the first call gives the place, later ones add context. What stands in no source has its place on the
    /// command line or in the project file.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        if span == Span::NOWHERE {
            self.place.get_or_insert_with(|| "a setting given by `--set` or `mtlc.yaml`".into());
            return self;
        }
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Points at the spec without a remark.
    pub fn at(self, span: Span) -> Self {
        self.label(span, "")
    }

    /// Points outside the spec, at a file, row, column or tensor.
    pub fn place(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds `did you mean …` when one of `known` is close to `word`, else what there is, when that is short.
    pub fn suggest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match closest(word, known.iter().copied()) {
            Some(best) => self.help(format!("did you mean `{best}`?")),
            None if known.is_empty() => self,
            None => {
                let list = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
                self.help(format!("there is {list}"))
            }
        }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The diagnostic as a person reads it, with the source around each label.
    pub fn render(&self, source: Option<&Source>, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level.primary_title(self.message.as_str()).elements(Vec::<Origin<'_>>::new());
        if let (Some(source), false) = (source, self.labels.is_empty()) {
            let mut snippet = Snippet::source(source.text.as_str()).path(source.name.as_str());
            for (i, label) in self.labels.iter().enumerate() {
                let kind = if i == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                let end = label.span.end.min(source.text.len());
                let annotation = kind.span(label.span.start.min(end)..end);
                let text = (!label.text.is_empty()).then_some(label.text.as_str());
                snippet = snippet.annotation(annotation.label(text));
            }
            group = group.element(snippet);
        }
        if let Some(place) = &self.place {
            group = group.element(Origin::path(place.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let remarks = || {
            let notes = self.notes.iter().map(|note| ("note", note));
            notes.chain(self.help.iter().map(|help| ("help", help)))
        };
        if self.place.is_none() && (source.is_none() || self.labels.is_empty()) {
            // Without an excerpt there is no margin that remarks could hang on.
            let title = renderer.render(&[group]);
            return remarks().fold(title, |text, (word, remark)| format!("{text}\n  {word}: {remark}"));
        }
        for (word, remark) in remarks() {
            let level = if word == "note" { Level::NOTE } else { Level::HELP };
            group = group.element(level.message(remark.as_str()));
        }
        renderer.render(&[group])
    }

    /// The diagnostic as an object for tools. Offsets are bytes; lines and columns count from 1.
    pub fn to_json(&self, source: Option<&Source>) -> serde_json::Value {
        let labels = self.labels.iter().map(|label| {
            let (line, column) = source.map_or((0, 0), |s| s.line_column(label.span.start));
            json!({ "start": label.span.start, "end": label.span.end, "line": line, "column": column, "text": label.text })
        });
        json!({
            "severity": if self.is_error() { "error" } else { "warning" },
            "message": self.message,
            "file": source.filter(|_| !self.labels.is_empty()).map(|s| s.name.clone()),
            "place": self.place,
            "labels": labels.collect::<Vec<_>>(),
            "notes": self.notes,
            "help": self.help,
        })
    }
}

/// Every diagnostic of a stage.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Keeps the product of a step, or its diagnostics and nothing.
    pub fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|more| self.0.extend(more.0)).ok()
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(Diagnostic::is_error)
    }

    /// `value` when nothing is wrong; warnings are kept by the caller.
    pub fn into_result<T>(self, value: T) -> Result<T> {
        if self.has_errors() { Err(self) } else { Ok(value) }
    }

    /// Keeps one of several that say the same of the same place, as every use of a wrong block does.
    pub fn without_repetitions(mut self) -> Self {
        let mut seen = std::collections::HashSet::new();
        self.0.retain(|d| seen.insert((d.message.clone(), d.labels.first().map(|l| (l.span.start, l.span.end)))));
        self
    }

    /// All of them in the order of their places, as a person reads them.
    pub fn render(&self, source: Option<&Source>, colour: bool) -> String {
        let mut sorted: Vec<&Diagnostic> = self.0.iter().collect();
        sorted.sort_by_key(|d| d.labels.first().map_or(usize::MAX, |l| l.span.start));
        sorted.iter().map(|d| d.render(source, colour)).collect::<Vec<_>>().join("\n\n") + "\n"
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

/// The candidate that a slip of the keyboard turns into `word`, if one is near enough.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .filter(|(distance, k)| *distance * 3 <= k.chars().count().max(word.chars().count()).max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}
