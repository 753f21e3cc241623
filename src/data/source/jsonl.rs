//! `jsonl`: one JSON object a line; packed with gzip or not.
//!
//! A value is a number, a string, `true` or `false` (1 and 0), `null` (missing, as an absent key is), or an array of these,
//! of the same shape in every row.

use super::{File, LIMIT, PATH, SEED, SPLIT, SourceKind};
use crate::base::signature::{Args, PartKind, Signature};
use crate::base::{Diagnostics, Result};
use crate::data::form::{Cell, Fault, shorten};
use crate::data::problem::Problems;
use crate::data::table::{Column, Store, Table};
use indexmap::IndexMap;
use serde_json::{Map, Value};
use sha2::Sha256;

pub static PART: SourceKind = SourceKind {
    signature: &Signature {
        name: "jsonl",
        kind: PartKind::Source,
        summary: "one JSON object a line, also as .gz; `null` or an absent key is a missing value",
        params: &[PATH, SPLIT, SEED, LIMIT],
    },
    paths: &["path"],
    read,
};

fn read(_: &Args, files: &[File], hash: &mut Sha256) -> Result<Table> {
    let mut rows: Vec<Map<String, Value>> = vec![];
    let mut lines = vec![];
    let mut problems = Problems::default();
    for file in files {
        let bytes = file.read_unpacked(hash)?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        for (i, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match parse(line) {
                Ok(row) => {
                    rows.push(row);
                    lines.push((file.name.clone(), i + 1));
                }
                Err(fault) => problems.add(|| format!("{}:{}", file.name, i + 1), fault),
            }
        }
    }
    let name = files.first().map(|file| file.name.clone()).unwrap_or_default();
    let mut diagnostics = Diagnostics::default();
    problems.report(None, &mut diagnostics);
    if diagnostics.0.is_empty() && rows.is_empty() {
        diagnostics.push(crate::base::Diagnostic::error("the file has no rows").place(&name));
    }
    let mut keys: IndexMap<String, Column> = IndexMap::new();
    let distinct: indexmap::IndexSet<&String> = rows.iter().flat_map(|row| row.keys()).collect();
    for key in distinct {
        let column = column(key, &rows, &lines, &name);
        if let Some(column) = diagnostics.take(column) {
            keys.insert(key.clone(), column);
        }
    }
    diagnostics.into_result(Table { kind: "jsonl", name, columns: keys, lines, folds: None, test_from: None })
}

fn parse(line: &[u8]) -> std::result::Result<Map<String, Value>, Fault> {
    let text =
        std::str::from_utf8(line).map_err(|_| Fault::new("the line is not UTF-8").help("save the file as UTF-8"))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(_) => Err(Fault::new("the line is no object").help("write `{\"name\": value, …}`, one a line")),
        Err(error) => {
            let error = error.to_string();
            let reason = error.split(" at line ").next().unwrap_or_default().to_string();
            Err(Fault::new(format!("the line is no JSON: {reason}")).help("write one whole object a line"))
        }
    }
}

/// The cells of one key in all rows, of the shape that its first value has.
fn column(key: &str, rows: &[Map<String, Value>], lines: &[(String, usize)], name: &str) -> Result<Column> {
    let first = rows.iter().filter_map(|row| row.get(key)).find(|value| !value.is_null());
    let dims = first.map_or(vec![1], shape);
    let size: usize = dims.iter().product();
    let mut cells = vec![];
    let mut problems = Problems::default();
    for (row, (file, line)) in rows.iter().zip(lines) {
        let start = cells.len();
        let fault = match row.get(key) {
            None | Some(Value::Null) => None,
            Some(value) if shape(value) != dims => {
                let message = format!("this value has shape {:?}, and the first one {dims:?}", shape(value));
                Some(Fault::new(message).help("arrays of one key have one shape; pad them"))
            }
            Some(value) => flatten(value, &mut cells).err(),
        };
        if let Some(fault) = fault {
            problems.add(|| format!("{file}:{line}, column \"{key}\""), fault);
        }
        cells.resize(start + size, Cell::Empty);
    }
    let mut diagnostics = Diagnostics::default();
    problems.report(None, &mut diagnostics);
    let store = Store::Cells(cells);
    diagnostics.into_result(Column { file: name.into(), rows: rows.len(), dims, store, classes: None })
}

/// The sizes of nested arrays, by their first entries; a single value is `[1]`.
fn shape(value: &Value) -> Vec<usize> {
    let (mut dims, mut value) = (vec![], value);
    while let Value::Array(items) = value {
        dims.push(items.len());
        match items.first() {
            Some(first) => value = first,
            None => break,
        }
    }
    if dims.is_empty() { vec![1] } else { dims }
}

fn flatten(value: &Value, cells: &mut Vec<Cell>) -> std::result::Result<(), Fault> {
    cells.push(match value {
        Value::Null => Cell::Empty,
        Value::Bool(flag) => Cell::Number(f64::from(u8::from(*flag))),
        Value::Number(number) => Cell::Number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Cell::Text(text.clone()),
        Value::Array(items) => {
            let inner = items.first().filter(|item| item.is_array()).map(shape);
            for item in items {
                if item.is_array().then(|| shape(item)) != inner {
                    return Err(Fault::new("the rows of this array differ in length").help("pad them"));
                }
                flatten(item, cells)?;
            }
            return Ok(());
        }
        Value::Object(_) => {
            return Err(Fault::new(format!("`{}` is an object", shorten(&value.to_string())))
                .help("a value is a number, a string, null or an array"));
        }
    });
    Ok(())
}
