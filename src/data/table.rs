//! What a source has read: columns of equal meaning for every row, in the file's own types, and the place of every row.

use super::form::{Cell, Example, Fault, Form, FormKind};
use super::number::Numbers;
use super::split::Split;
use super::step::read_image;
use indexmap::IndexMap;
use std::path::PathBuf;

/// The contents of a source.
#[derive(Debug)]
pub struct Table {
    /// The name of the source in the language.
    pub kind: &'static str,
    /// The first file, as the user named it.
    pub name: String,
    pub columns: IndexMap<String, Column>,
    /// File and line of every row, for text tables.
    pub lines: Vec<(String, usize)>,
    /// The split of every row, where folders say it.
    pub folds: Option<Vec<Split>>,
    /// The row from which on rows are the test split, where the source has files for testing.
    pub test_from: Option<usize>,
}

/// One column: a value per row.
#[derive(Debug)]
pub struct Column {
    /// The file it came from, as the user named it.
    pub file: String,
    pub rows: usize,
    /// Sizes of one row's value, never empty.
    pub dims: Vec<usize>,
    pub store: Store,
    /// The names of the classes, where the source knows them.
    pub classes: Option<Vec<String>>,
}

#[derive(Debug)]
pub enum Store {
    /// The text of every cell, one after the other, and where each ends.
    Text {
        text: String,
        ends: Vec<usize>,
    },
    Cells(Vec<Cell>),
    Numbers(Numbers),
    /// Numbers that are shown as images.
    Images(Numbers),
    Files(Vec<PathBuf>),
    /// Something that cannot be used, and why.
    Unusable(String),
}

impl Table {
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.columns.keys().map(String::as_str)
    }

    /// Whether rows are records with named cells.
    pub fn is_tabular(&self) -> bool {
        matches!(self.kind, "csv" | "jsonl")
    }

    /// Whether its columns are arrays with names.
    pub fn has_arrays(&self) -> bool {
        super::column::array::PART.sources.contains(&self.kind)
    }

    /// Where a value stands: `wdbc.csv:17, column "diagnosis"`. Rows that are no lines count from 0, as arrays do.
    pub fn place(&self, column: &str, row: usize) -> String {
        let Some(found) = self.columns.get(column) else { return self.name.clone() };
        match (&found.store, self.lines.get(row)) {
            (Store::Files(files), _) => files.get(row).map_or(found.file.clone(), |file| file.display().to_string()),
            (_, Some((file, line))) if self.is_tabular() => format!("{file}:{line}, column \"{column}\""),
            (_, Some((file, _))) => file.clone(),
            _ if self.has_arrays() => format!("{}, array \"{column}\", row {row}", found.file),
            _ => format!("{}, row {row}", found.file),
        }
    }

    /// The form of some columns side by side.
    pub fn form(&self, columns: &[String]) -> Form {
        match columns {
            [one] => self.columns[one].form(),
            many => Form::new(FormKind::Cells, &[many.len()]),
        }
    }

    /// A row of some columns side by side.
    pub fn example(&self, columns: &[String], row: usize) -> Result<Example, Fault> {
        match columns {
            [one] => self.columns[one].example(row),
            many => {
                let cells = many.iter().map(|name| self.columns[name].cell(row, 0)).collect();
                Ok(Example::Cells { dims: vec![many.len()], cells })
            }
        }
    }
}

impl Column {
    pub fn form(&self) -> Form {
        let kind = match &self.store {
            Store::Files(_) => return Form { kind: FormKind::Numbers, dims: vec![None; 3] },
            Store::Numbers(numbers) if !numbers.element.is_float() => FormKind::Integers,
            Store::Numbers(_) | Store::Images(_) => FormKind::Numbers,
            Store::Text { .. } | Store::Cells(_) | Store::Unusable(_) => FormKind::Cells,
        };
        Form::new(kind, &self.dims)
    }

    pub fn size(&self) -> usize {
        self.dims.iter().product()
    }

    /// Element `i` of a row's value, for columns of cells.
    pub fn cell(&self, row: usize, i: usize) -> Cell {
        let at = row * self.size() + i;
        match &self.store {
            Store::Text { text, ends } => {
                let start = if at == 0 { 0 } else { ends[at - 1] };
                match &text[start..ends[at]] {
                    "" => Cell::Empty,
                    text => Cell::Text(text.into()),
                }
            }
            Store::Cells(cells) => cells[at].clone(),
            Store::Numbers(numbers) | Store::Images(numbers) => Cell::Number(f64::from(numbers.float(at))),
            Store::Files(_) | Store::Unusable(_) => Cell::Empty,
        }
    }

    pub fn example(&self, row: usize) -> Result<Example, Fault> {
        let (size, dims) = (self.size(), self.dims.clone());
        let range = row * size..(row + 1) * size;
        Ok(match &self.store {
            Store::Files(files) => read_image::decode(&files[row])?,
            Store::Numbers(numbers) if !numbers.element.is_float() => {
                Example::Ids { dims, data: range.map(|i| numbers.integer(i)).collect() }
            }
            Store::Numbers(numbers) | Store::Images(numbers) => {
                Example::Numbers { dims, data: range.map(|i| numbers.float(i)).collect() }
            }
            Store::Text { .. } | Store::Cells(_) => {
                Example::Cells { dims, cells: (0..size).map(|i| self.cell(row, i)).collect() }
            }
            Store::Unusable(why) => return Err(Fault::new(why.clone())),
        })
    }
}
