//! `columns`: several columns side by side, by names and globs.
//!
//! `all` and globs pass over the columns that targets use and the column that says the split: a label is never an input by
//! accident. A name without `*` selects its column always. Columns come in the order of the list, and within a glob in the
//! order of the file; none comes twice.

use super::{ColumnKind, Selection, named};
use crate::base::signature::{Arg, Call, Kind, Param, PartKind, Signature, Value};
use crate::base::{Diagnostic, Diagnostics, Result};
use crate::data::problem;

pub static PART: ColumnKind = ColumnKind {
    signature: &Signature {
        name: "columns",
        kind: PartKind::Column,
        summary: "several columns of a table side by side; `all` and globs leave out the columns of the targets",
        params: &[
            Param::with(
                "which",
                Kind::Either(&[Kind::Word(&["all"]), Kind::List(&Kind::Text)]),
                "all",
                "`all`, or a list of names, in which `*` stands for any text",
            ),
            Param::optional("except", Kind::List(&Kind::Text), "names and globs to leave out"),
        ],
    },
    sources: &["csv", "jsonl"],
    select,
};

fn select(call: &Call, selection: &Selection) -> Result<Vec<String>> {
    let table = selection.table;
    let mut diagnostics = Diagnostics::default();
    let mut selected: Vec<String> = vec![];
    let everything = [Arg { value: Value::Text("*".into()), span: call.span }];
    let which = match call.args.get("which").map(|arg| &arg.value) {
        Some(Value::List(list)) => &list[..],
        _ => &everything[..],
    };
    for pattern in which {
        let text = pattern.value.as_text().unwrap_or_default();
        if text.contains('*') {
            let matching = table.names().filter(|name| glob(text, name));
            let before = selected.len();
            selected.extend(matching.filter(|name| !selection.reserved.iter().any(|r| r == name)).map(String::from));
            if selected.len() == before {
                diagnostics.push(nothing(text, pattern, selection));
            }
        } else if let Some(name) = diagnostics.take(named(text, pattern.span, table)) {
            selected.push(name);
        }
    }
    if call.args.has("except") {
        for pattern in call.args.list("except") {
            let text = pattern.value.as_text().unwrap_or_default();
            if !table.names().any(|name| glob(text, name)) {
                diagnostics.push(nothing(text, pattern, selection));
            }
            selected.retain(|name| !glob(text, name));
        }
    }
    let mut seen = std::collections::HashSet::new();
    selected.retain(|name| seen.insert(name.clone()));
    if selected.is_empty() && diagnostics.0.is_empty() {
        diagnostics.push(Diagnostic::error("no column is left").at(call.span).place(&table.name));
    }
    for name in &selected {
        if selected.len() > 1 && table.columns[name].dims != [1] {
            let message = format!("column `{name}` holds arrays, and `columns` puts single values side by side");
            let help = format!("leave it out, or give it a field of its own: `column(\"{name}\")`");
            diagnostics.push(Diagnostic::error(message).at(call.span).place(&table.name).help(help));
        }
    }
    diagnostics.into_result(selected)
}

fn nothing(text: &str, pattern: &Arg, selection: &Selection) -> Diagnostic {
    let table = selection.table;
    let matching: Vec<&str> = table.names().filter(|name| glob(text, name)).collect();
    if !matching.is_empty() {
        return Diagnostic::error("only columns of targets match, or the one that says the split")
            .at(pattern.span)
            .place(&table.name)
            .note(format!("`all` and globs pass over {}", problem::list(matching)))
            .help("name a column without `*` to take it anyway");
    }
    let none = Diagnostic::error(format!("`{text}` matches no column of `{}`", table.name))
        .at(pattern.span)
        .place(&table.name);
    match text.contains('*') {
        true => none.help(format!("there is {}", problem::list(table.names()))),
        false => problem::suggest(none, text, table.names()),
    }
}

/// Whether a name is what the pattern says, with `*` for any text, also none.
fn glob(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return name.ends_with(piece);
        }
        match name.find(piece) {
            Some(at) => name = &name[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn globs() {
        for (pattern, name) in
            [("*", ""), ("*radius*", "mean radius"), ("mean *", "mean area"), ("a*b*c", "a--b-bc"), ("ab", "ab")]
        {
            assert!(glob(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*radius", "radius error"), ("mean*", "a mean"), ("a*a", "a"), ("a*b*c", "acb"), ("", "a")]
        {
            assert!(!glob(pattern, name), "{pattern} {name}");
        }
    }
}
