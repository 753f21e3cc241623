//! Where results, progress and diagnostics go.

use crate::base::{Diagnostic, Diagnostics, Source};
use crate::model::Failure;
use std::cell::RefCell;
use std::io::{IsTerminal, Write};

pub struct Console {
    /// Results as JSON.
    pub json: bool,
    colour: bool,
    /// The first error of writing a result.
    broken: RefCell<Option<std::io::Error>>,
    /// Failures that `finish` shows as one object, for tools.
    failures: RefCell<Vec<serde_json::Value>>,
}

impl Console {
    pub fn new(json: bool) -> Self {
        let colour =
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, colour, broken: RefCell::default(), failures: RefCell::default() }
    }

    /// A line of the result.
    pub fn result(&self, text: impl AsRef<str>) {
        self.result_text(&format!("{}\n", text.as_ref()));
    }

    /// A text that ends its own lines.
    pub fn result_text(&self, text: &str) {
        let mut stdout = std::io::stdout();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            self.broken.borrow_mut().get_or_insert(error);
        }
    }

    /// The result for tools.
    pub fn result_json(&self, value: &serde_json::Value) {
        self.result(serde_json::to_string_pretty(value).expect("JSON prints"));
    }

    /// A line of talk.
    pub fn note(&self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
    }

    /// Diagnostics, on stderr for people; with `--json` kept until the command ends.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            self.failures.borrow_mut().extend(list(failure.source.as_ref(), &failure.diagnostics));
        } else {
            self.diagnostics(failure.source.as_ref(), &failure.diagnostics);
        }
    }

    /// Diagnostics for people.
    pub fn diagnostics(&self, source: Option<&Source>, diagnostics: &Diagnostics) {
        if !diagnostics.0.is_empty() {
            let _ = write!(std::io::stderr(), "{}", diagnostics.render(source, self.colour));
        }
    }

    pub fn bug(&self, what: &str) {
        self.note(format!("mtlc failed, and that is a fault of mtlc, not yours: {what}"));
    }

    /// Ends a command: shows the failures kept for tools. False when a result could not be written.
    ///
    /// A reader that went away has seen what it wanted, and is no error.
    pub fn finish(&self) -> bool {
        let failures = self.failures.take();
        if !failures.is_empty() {
            self.result_json(&serde_json::json!({ "diagnostics": failures }));
        }
        match self.broken.take() {
            Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                let diagnostic = Diagnostic::error(format!("cannot write the result: {error}")).place("stdout");
                self.diagnostics(None, &diagnostic.into());
                false
            }
            _ => true,
        }
    }
}

/// Diagnostics as a list of objects.
pub fn list(source: Option<&Source>, diagnostics: &Diagnostics) -> Vec<serde_json::Value> {
    diagnostics.0.iter().map(|d| d.to_json(source)).collect()
}

/// Rows as aligned columns under a header: numbers to the right, words to the left.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let column = |c: usize| rows.iter().filter_map(move |r| r.get(c));
    let widths: Vec<usize> =
        (0..columns).map(|c| column(c).map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
    // The header says nothing about what stands below it; the first column names the rows.
    let is_number = |cell: &String| cell == ABSENT || cell.parse::<f64>().is_ok();
    let numeric: Vec<bool> =
        (0..columns).map(|c| c > 0 && rows.len() > 1 && column(c).skip(1).all(is_number)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(c, cell)| {
            if numeric[c] { format!("{cell:>w$}", w = widths[c]) } else { format!("{cell:<w$}", w = widths[c]) }
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What stands in a table where there is no number.
pub const ABSENT: &str = "-";
