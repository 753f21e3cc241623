//! Where results, progress and diagnostics go.

use crate::base::{Diagnostics, Source};
use crate::model::Failure;
use std::io::{IsTerminal, Write};

pub struct Console {
    /// Results as JSON.
    pub json: bool,
    colour: bool,
}

impl Console {
    pub fn new(json: bool) -> Self {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { json, colour }
    }

    /// A line of the result. A reader that went away is no error.
    pub fn result(&self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
    }

    /// The result for tools.
    pub fn result_json(&self, value: &serde_json::Value) {
        self.result(serde_json::to_string_pretty(value).expect("JSON prints"));
    }

    /// A line of talk.
    pub fn note(&self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
    }

    /// Diagnostics, on stderr for people; with `--json` one object on stdout.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            self.result_json(&json(failure.source.as_ref(), &failure.diagnostics));
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
}

/// Diagnostics as `{"diagnostics": […]}`.
pub fn json(source: Option<&Source>, diagnostics: &Diagnostics) -> serde_json::Value {
    let list: Vec<serde_json::Value> = diagnostics.0.iter().map(|d| d.to_json(source)).collect();
    serde_json::json!({ "diagnostics": list })
}

/// Rows as aligned columns; the first column to the left, the others to the right.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(c, cell)| {
            if c == 0 { format!("{cell:<w$}", w = widths[c]) } else { format!("{cell:>w$}", w = widths[c]) }
        });
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_string()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
