//! Which rows train, which validate, and which test.

use super::problem::{Problems, suggestion};
use super::{form::Fault, table::Table};
use crate::base::signature::{Args, Value};
use crate::base::{Diagnostic, Diagnostics, Result, Span};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::fmt;

/// What the rows of a data set are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    Train,
    Validation,
    Test,
}

impl Split {
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];
    pub const NAMES: [&'static str; 3] = ["train", "validation", "test"];

    pub fn named(name: &str) -> Option<Split> {
        Self::NAMES.iter().position(|n| *n == name).map(|i| Self::ALL[i])
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

/// How a spec asks for the splits.
#[derive(Clone, Debug, PartialEq)]
pub enum Settings {
    /// Shares of train, validation and test; as many as were given.
    Shares(Vec<f64>),
    /// A column that says it, or `folders`.
    Named(String),
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Settings::Shares(shares) => write!(f, "split {shares:?}"),
            Settings::Named(name) => write!(f, "split by {name}"),
        }
    }
}

/// Reads the `split` of a source and checks its shares.
pub fn settings(args: &Args) -> Result<Settings> {
    let arg = args.get("split").expect("every source declares `split` with a default");
    if let Value::Text(name) = &arg.value {
        return Ok(Settings::Named(name.clone()));
    }
    let shares: Vec<f64> = args.list("split").iter().filter_map(|share| share.value.as_float()).collect();
    let sum: f64 = shares.iter().sum();
    if shares.is_empty() || shares.len() > 3 {
        let message = format!("a split has 1 to 3 shares, and this one has {}", shares.len());
        return Err(Diagnostic::error(message).at(arg.span).help("write `[train, validation, test]`").into());
    }
    if (sum - 1.0).abs() > 1e-6 {
        let message = format!("the shares of a split sum to 1, and these sum to {}", (sum * 1e6).round() / 1e6);
        return Err(Diagnostic::error(message).at(arg.span).help("for example `[0.7, 0.15, 0.15]`").into());
    }
    Ok(Settings::Shares(shares))
}

/// The rows of each split, ascending.
///
/// Shares: rows are shuffled with ChaCha8 and cut at the rounded cumulative shares. `limit` keeps the first training rows of
/// the shuffle. Where the source has rows for testing, those are the test split, and shares are of the rows before them.
pub fn rows(args: &Args, settings: &Settings, table: &Table, count: usize) -> Result<[Vec<usize>; 3]> {
    let mut random = ChaCha8Rng::seed_from_u64(args.size("seed") as u64);
    let shuffled = table.test_from.unwrap_or(count).min(count);
    let mut order: Vec<usize> = (0..shuffled).collect();
    for i in (1..shuffled).rev() {
        order.swap(i, (random.next_u64() % (i as u64 + 1)) as usize);
    }
    let mut splits: [Vec<usize>; 3] = Default::default();
    match settings {
        Settings::Shares(shares) => {
            let (mut sum, mut from) = (0.0, 0);
            for (split, share) in splits.iter_mut().zip(shares) {
                sum += share;
                let to = ((sum * shuffled as f64).round() as usize).clamp(from, shuffled);
                split.extend(&order[from..to]);
                from = to;
            }
            if table.test_from.is_some() {
                if shares.get(2).is_some_and(|share| *share > 0.0) {
                    let span = args.span("split").unwrap_or_default();
                    let message =
                        format!("`{}` has files for testing, and the split asks for a share of the others", table.name);
                    return Err(Diagnostic::error(message)
                        .at(span)
                        .help("share the others between training and validation: `split: [0.9, 0.1]`")
                        .into());
                }
                splits[2] = (shuffled..count).collect();
            }
        }
        Settings::Named(name) => {
            let named = named(name, args.span("split").unwrap_or_default(), table, count)?;
            order.iter().for_each(|&row| splits[named[row] as usize].push(row));
        }
    }
    if args.has("limit") {
        splits[0].truncate(args.size("limit"));
    }
    splits.iter_mut().for_each(|split| split.sort_unstable());
    let asked = match settings {
        Settings::Shares(shares) => shares.iter().map(|share| *share > 0.0).collect(),
        Settings::Named(_) => vec![true],
    };
    for (split, rows) in Split::ALL.iter().zip(&splits) {
        if asked.get(*split as usize) == Some(&true) && rows.is_empty() {
            let span = args.span("split").unwrap_or_default();
            let message = format!("the {split} split of `{}` is empty", table.name);
            return Err(Diagnostic::error(message)
                .at(span)
                .note(format!("there are {count} rows"))
                .help("give it a larger share, or leave it out")
                .into());
        }
    }
    Ok(splits)
}

/// The split of every row, as a column or the folders say it.
fn named(name: &str, span: Span, table: &Table, count: usize) -> Result<Vec<Split>> {
    if let (Some(folds), "folders") = (&table.folds, name) {
        return Ok(folds.clone());
    }
    let Some(column) = table.columns.get(name).filter(|_| table.is_tabular()) else {
        let message = format!("`{}` has no column `{name}` to split by", table.name);
        let missing = Diagnostic::error(message).at(span).place(&table.name);
        let fixed = match table.kind {
            "csv" | "jsonl" => super::problem::suggest(missing, name, table.names()),
            "folder" => {
                missing.help("write `split: \"folders\"` for folders named train, validation and test, or shares")
            }
            _ => missing.help("split by shares: `split: [0.8, 0.1, 0.1]`"),
        };
        return Err(fixed.into());
    };
    let mut problems = Problems::default();
    let mut splits = vec![];
    for row in 0..count {
        let word = column.cell(row, 0).text();
        match Split::named(&word) {
            Some(split) => splits.push(split),
            None => problems.add(
                || table.place(name, row),
                Fault {
                    help: suggestion(&word, Split::NAMES),
                    ..Fault::new(format!("`{}` is no split", super::form::shorten(&word)))
                },
            ),
        }
    }
    let mut diagnostics = Diagnostics::default();
    problems.report(Some(span), &mut diagnostics);
    diagnostics.into_result(splits)
}
