//! Which columns of the source each field reads, and how many rows they have.

use super::column::{self, Selection};
use super::fit::Fitted;
use super::split::Settings;
use super::table::Table;
use super::{DataSpec, FieldSpec, problem};
use crate::base::{Diagnostic, Diagnostics, Result};
use indexmap::IndexMap;

/// The columns of every field. Targets come first, since `all` passes over theirs.
pub fn select(
    spec: &DataSpec,
    table: &Table,
    settings: &Settings,
    fitted: Option<&Fitted>,
    predicts: bool,
) -> Result<Vec<Vec<String>>> {
    let mut diagnostics = Diagnostics::default();
    let mut reserved: Vec<String> = vec![];
    if let Settings::Named(name) = settings {
        reserved.push(name.clone());
    }
    let mut selected: IndexMap<&str, Vec<String>> = IndexMap::new();
    for targets in [true, false] {
        let before = reserved.clone();
        for field in spec.fields.iter().filter(|field| field.role.is_target() == targets) {
            let columns = match fitted {
                None => column::select(&field.column, &Selection { table, reserved: &before }),
                Some(fitted) => former(field, table, fitted, predicts),
            };
            if let Some(columns) = diagnostics.take(columns) {
                if targets {
                    reserved.extend(columns.iter().cloned());
                }
                selected.insert(&field.name, columns);
            }
        }
    }
    let in_order = spec.fields.iter().filter_map(|field| selected.get(field.name.as_str()).cloned()).collect();
    diagnostics.into_result(in_order)
}

/// The columns that a former run selected, which the table has to have, except for labels of new data.
fn former(field: &FieldSpec, table: &Table, fitted: &Fitted, predicts: bool) -> Result<Vec<String>> {
    let Some(former) = fitted.fields.get(&field.name) else {
        let message = format!("the former run prepared no field `{}`", field.name);
        let help = "use the spec that the run was trained with, or train again";
        return Err(Diagnostic::error(message).at(field.span).help(help).into());
    };
    let mut diagnostics = Diagnostics::default();
    let lacking: Vec<&str> =
        former.columns.iter().filter(|name| !table.columns.contains_key(*name)).map(String::as_str).collect();
    if former.columns.is_empty() || !(lacking.is_empty() || predicts && field.role.is_target()) {
        let message = format!("`{}` lacks columns of `{}`", table.name, field.name);
        diagnostics.push(
            Diagnostic::error(message)
                .at(field.span)
                .place(&table.name)
                .note(format!("it lacks {}", problem::list(lacking)))
                .note(format!("it has {}", problem::list(table.names())))
                .help("new data has the columns that the inputs were trained on"),
        );
    }
    for name in former.columns.iter().filter(|_| former.columns.len() > 1) {
        if let Some(column) = table.columns.get(name).filter(|column| column.dims != [1]) {
            let message = format!("column `{name}` now holds arrays of shape {:?}", column.dims);
            diagnostics.push(Diagnostic::error(message).at(field.span).place(&column.file));
        }
    }
    diagnostics.into_result(former.columns.clone())
}

/// The number of rows, which all columns that are used agree on. There is something to do without rows only for a prediction.
pub fn count(table: &Table, columns: &[Vec<String>], predicts: bool) -> Result<usize> {
    let mut used = columns.iter().flatten().filter_map(|name| Some((name, table.columns.get(name)?)));
    let Some((first, column)) = used.next() else {
        return Err(Diagnostic::error("no field reads from this source").place(&table.name).into());
    };
    if let Some((name, other)) = used.find(|(_, other)| other.rows != column.rows) {
        let message = format!("`{first}` has {} rows, and `{name}` has {}", column.rows, other.rows);
        return Err(Diagnostic::error(message)
            .place(&table.name)
            .help("arrays of one data set count the same rows")
            .into());
    }
    match column.rows {
        0 if !predicts => {
            let what = if table.kind == "csv" { "the file has a header and no rows" } else { "the source has no rows" };
            Err(Diagnostic::error(what).place(&table.name).into())
        }
        rows => Ok(rows),
    }
}
