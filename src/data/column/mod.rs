//! What starts the chain of a field: which columns of the source its values come from.

use super::problem;
use super::table::{Store, Table};
use crate::base::signature::{Call, Signature};
use crate::base::{Diagnostic, Result};

/// A column: what a spec writes, the sources it fits, and the columns it selects.
#[derive(Debug)]
pub struct ColumnKind {
    pub signature: &'static Signature,
    /// Names of the sources that have such columns.
    pub sources: &'static [&'static str],
    pub select: fn(&Call, &Selection) -> Result<Vec<String>>,
}

/// What a selection is made from.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    pub table: &'a Table,
    /// Columns that `all` and globs pass over: those of the targets, and the one that says the split.
    pub reserved: &'a [String],
}

/// The columns of a field, checked against the source.
pub fn select(call: &Call, selection: &Selection) -> Result<Vec<String>> {
    let part = COLUMNS.iter().find(|part| part.signature.name == call.signature.name).expect("bound from the list");
    let table = selection.table;
    if !part.sources.contains(&table.kind) {
        let fitting: Vec<_> =
            COLUMNS.iter().filter(|part| part.sources.contains(&table.kind)).map(|part| part.signature.name).collect();
        let names = problem::list(table.names());
        return Err(Diagnostic::error(format!("`{}` does not read from `{}`", call.signature.name, table.kind))
            .at(call.span)
            .place(&table.name)
            .note(format!("the source has {names}"))
            .help(format!("here a field starts with {}", problem::list(fitting)))
            .into());
    }
    (part.select)(call, selection)
}

/// The one column of that name, or an error that suggests another.
fn named(name: &str, span: crate::base::Span, table: &Table) -> Result<String> {
    let noun = if table.is_tabular() { "column" } else { "array" };
    match table.columns.get(name) {
        None => {
            let missing =
                Diagnostic::error(format!("`{}` has no {noun} `{name}`", table.name)).at(span).place(&table.name);
            Err(problem::suggest(missing, name, table.names()).into())
        }
        Some(column) => match &column.store {
            Store::Unusable(why) => {
                Err(Diagnostic::error(format!("{noun} `{name}` {why}")).at(span).place(&table.name).into())
            }
            _ => Ok(name.into()),
        },
    }
}

/// The column of an idx or folder source of that name.
fn fixed(name: &str, help: &str, call: &Call, table: &Table) -> Result<Vec<String>> {
    match table.columns.contains_key(name) {
        true => Ok(vec![name.into()]),
        false => Err(Diagnostic::error(format!("`{}` has no {name}", table.name))
            .at(call.span)
            .place(&table.name)
            .help(help)
            .into()),
    }
}

parts! {
    /// Every column, one line each.
    COLUMNS: ColumnKind =
        column,
        columns,
        array,
        images,
        labels,
}
