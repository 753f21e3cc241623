//! `csv`: a table in a text file, one header line and one record a line; packed with gzip or not.
//!
//! Cells are cut of blanks around them. An empty cell is missing. What a cell means is decided by the field that uses it.

use super::{File, LIMIT, PATH, SEED, SPLIT, SourceKind};
use crate::base::signature::{Args, Kind, Param, PartKind, Signature};
use crate::base::{Diagnostics, Result};
use crate::data::form::Fault;
use crate::data::problem::Problems;
use crate::data::table::{Column, Store, Table};
use csv::{ByteRecord, ReaderBuilder, Trim};
use indexmap::IndexMap;
use sha2::Sha256;

pub static PART: SourceKind = SourceKind {
    signature: &Signature {
        name: "csv",
        kind: PartKind::Source,
        summary: "a text table with a header line, also as .gz; an empty cell is a missing value",
        params: &[
            PATH,
            SPLIT,
            SEED,
            LIMIT,
            Param::with("delimiter", Kind::Text, "\",\"", "the character between cells, `\"\\t\"` for tabs"),
        ],
    },
    paths: &["path"],
    read,
};

/// One column while it is read.
#[derive(Default)]
struct Cells {
    text: String,
    ends: Vec<usize>,
}

fn read(args: &Args, files: &[File], hash: &mut Sha256) -> Result<Table> {
    let delimiter = match args.text("delimiter").as_bytes() {
        b"\\t" => b'\t',
        [byte] if !matches!(byte, b'"' | b'\n' | b'\r') => *byte,
        _ => {
            return Err(crate::base::Diagnostic::error("a delimiter is one ASCII character, and no quote")
                .at(args.span("delimiter").unwrap_or_default())
                .help("write `delimiter: \";\"` or `delimiter: \"\\t\"`")
                .into());
        }
    };
    let mut header: Vec<String> = vec![];
    let mut columns: Vec<Cells> = vec![];
    let mut lines = vec![];
    for (i, file) in files.iter().enumerate() {
        let bytes = file.read_unpacked(hash)?;
        let names = read_one(file, &bytes, delimiter, (i > 0).then_some(&header), &mut columns, &mut lines)?;
        header = names;
    }
    let name = files.first().map(|file| file.name.clone()).unwrap_or_default();
    let columns: IndexMap<String, Column> = header
        .into_iter()
        .zip(columns)
        .map(|(column, cells)| {
            let store = Store::Text { text: cells.text, ends: cells.ends };
            (column, Column { file: name.clone(), rows: lines.len(), dims: vec![1], store, classes: None })
        })
        .collect();
    Ok(Table { kind: "csv", name, columns, lines, folds: None, test_from: None })
}

/// Adds the records of one file; gives its header.
fn read_one(
    file: &File,
    bytes: &[u8],
    delimiter: u8,
    expected: Option<&Vec<String>>,
    columns: &mut Vec<Cells>,
    lines: &mut Vec<(String, usize)>,
) -> Result<Vec<String>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).trim(Trim::All).from_reader(bytes);
    let mut counter = Lines { bytes, at: 0, line: 1 };
    let mut record = ByteRecord::new();
    let mut next = |record: &mut ByteRecord| match reader.read_byte_record(record) {
        Ok(true) => Some(counter.line_of(record)),
        // Reading from memory, with flexible lengths, has no other way to fail.
        Ok(false) | Err(_) => None,
    };

    let Some(line) = next(&mut record) else {
        return Err(file.broken("the file is empty").help("the first line names the columns").into());
    };
    let mut names: Vec<String> = vec![];
    for cell in &record {
        let Ok(name) = std::str::from_utf8(cell) else {
            return Err(utf8(file, line).into());
        };
        if names.iter().any(|known| known == name) {
            let place = format!("{}:{line}", file.name);
            return Err(file
                .broken(format!("two columns are named `{name}`"))
                .place(place)
                .help("rename one of them")
                .into());
        }
        names.push(name.to_string());
    }
    match expected {
        None => columns.resize_with(names.len(), Cells::default),
        Some(expected) if *expected != names => {
            return Err(file.broken("the columns differ from those of the first file").into());
        }
        Some(_) => {}
    }

    let (mut ragged, mut broken) = (Problems::default(), Problems::default());
    while let Some(line) = next(&mut record) {
        let place = || format!("{}:{line}", file.name);
        if record.len() != names.len() {
            let cells = if record.len() == 1 { "cell" } else { "cells" };
            let message = format!("the line has {} {cells}, and the header has {}", record.len(), names.len());
            ragged.add(place, Fault::new(message).help("put quotes around text that contains the delimiter"));
            continue;
        }
        if record.iter().any(|cell| std::str::from_utf8(cell).is_err()) {
            broken.add(place, Fault::new(NOT_UTF8).help(SAVE_AS));
            continue;
        }
        for (cells, cell) in columns.iter_mut().zip(&record) {
            cells.text.push_str(&String::from_utf8_lossy(cell));
            cells.ends.push(cells.text.len());
        }
        lines.push((file.name.clone(), line));
    }
    let mut diagnostics = Diagnostics::default();
    ragged.report(None, &mut diagnostics);
    broken.report(None, &mut diagnostics);
    diagnostics.into_result(names)
}

const NOT_UTF8: &str = "the line is not UTF-8";
const SAVE_AS: &str = "save the file as UTF-8";

fn utf8(file: &File, line: usize) -> crate::base::Diagnostic {
    file.broken(NOT_UTF8).place(format!("{}:{line}", file.name)).help(SAVE_AS)
}

/// Counts lines up to the start of each record, whatever the line ends and blank lines before it.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn line_of(&mut self, record: &ByteRecord) -> usize {
        let mut start = record.position().map_or(self.at, |p| p.byte() as usize).min(self.bytes.len());
        while matches!(self.bytes.get(start), Some(b'\n' | b'\r')) {
            start += 1;
        }
        if start > self.at {
            self.line += self.bytes[self.at..start].iter().filter(|&&byte| byte == b'\n').count();
            self.at = start;
        }
        self.line
    }
}
