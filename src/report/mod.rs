//! Reports of a run as one HTML page that needs nothing else: no script, no font, no image, no network.
//!
//! In come titles, facts, curves, tables and listings, any text and any numbers; out comes the page. It follows the reader's
//! light or dark setting, and prints. All text is escaped, and a content policy forbids the page to load or run anything, so
//! a class name or a column name from a data file cannot do harm. The same report gives the same bytes.

pub mod chart;
pub mod scatter;
pub mod ticks;

pub use chart::{Chart, Series};
pub use scatter::{Point, Scatter};

use std::fmt::Write;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub title: String,
    pub subtitle: String,
    /// Names and values, shown at the top.
    pub facts: Vec<(String, String)>,
    pub charts: Vec<Chart>,
    /// Shown behind the charts.
    pub scatters: Vec<Scatter>,
    pub tables: Vec<Table>,
    /// Titles and preformatted text, such as the spec and the plan.
    pub listings: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub title: String,
    pub header: Vec<String>,
    /// Columns of numbers are aligned right.
    pub rows: Vec<Vec<String>>,
}

/// The page.
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    write_page(report, &mut page).expect("writing to a string does not fail");
    page
}

fn write_page(report: &Report, page: &mut String) -> std::fmt::Result {
    let title = escape(&report.title);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{}</style>\n</head>\n\
         <body>\n<header>\n<h1>{title}</h1>\n",
        include_str!("style.css")
    )?;
    if !report.subtitle.is_empty() {
        writeln!(page, "<p class=\"subtitle\">{}</p>", escape(&report.subtitle))?;
    }
    writeln!(page, "</header>\n<main>")?;
    if !report.facts.is_empty() {
        writeln!(page, "<dl class=\"facts\">")?;
        for (name, value) in &report.facts {
            writeln!(page, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value))?;
        }
        writeln!(page, "</dl>")?;
    }
    if !report.charts.is_empty() || !report.scatters.is_empty() {
        writeln!(page, "<section class=\"charts\">")?;
        report.charts.iter().try_for_each(|chart| chart::write(chart, page))?;
        report.scatters.iter().try_for_each(|scatter| scatter::write(scatter, page))?;
        writeln!(page, "</section>")?;
    }
    report.tables.iter().try_for_each(|table| write_table(table, page))?;
    for (title, text) in &report.listings {
        let (title, text) = (escape(title), escape(text));
        writeln!(page, "<details open>\n<summary>{title}</summary>\n<pre>{text}</pre>\n</details>")?;
    }
    writeln!(page, "</main>\n</body>\n</html>")
}

fn write_table(table: &Table, page: &mut String) -> std::fmt::Result {
    let numeric = |column: usize| {
        let mut cells = table.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !is_blank(cell)).peekable();
        cells.peek().is_some() && cells.all(|cell| is_number(cell))
    };
    let class = |column: usize| if numeric(column) { " class=\"number\"" } else { "" };
    writeln!(page, "<section>\n<h2>{}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>", escape(&table.title))?;
    for (i, cell) in table.header.iter().enumerate() {
        writeln!(page, "<th scope=\"col\"{}>{}</th>", class(i), escape(cell))?;
    }
    writeln!(page, "</tr></thead>\n<tbody>")?;
    for row in &table.rows {
        write!(page, "<tr>")?;
        for (i, cell) in row.iter().enumerate() {
            write!(page, "<td{}>{}</td>", class(i), escape(cell))?;
        }
        writeln!(page, "</tr>")?;
    }
    writeln!(page, "</tbody>\n</table></div>\n</section>")
}

/// A cell that stands for no value.
fn is_blank(cell: &str) -> bool {
    matches!(cell.trim(), "" | "-" | "–" | "—")
}

/// A cell that reads as a quantity: a number, perhaps with a sign, grouped digits and a unit of a few letters.
fn is_number(cell: &str) -> bool {
    let cell = cell.trim().trim_start_matches(['+', '-', '−', '±']);
    let unit = cell.trim_start_matches(|c: char| c.is_ascii_digit() || " .,_e-+".contains(c));
    cell.starts_with(|c: char| c.is_ascii_digit()) && unit.chars().count() <= 5 && !unit.contains(char::is_whitespace)
}

/// Text as it may stand in an element or a quoted attribute. Control characters, which HTML forbids, become `�`.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
