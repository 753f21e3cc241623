//! Classes: from a cell or a number to an index. Shared by class targets and `one_hot`.

use super::form::{Cell, Fault, shorten};
use super::problem::suggestion;

/// The index of a cell's class. A name comes first; else an integer `0 ≤ k < count` is its own index, also where names are
/// given. An empty cell has none.
pub fn of_cell(cell: &Cell, count: usize, names: Option<&[String]>) -> Result<Option<i64>, Fault> {
    match cell {
        Cell::Empty => Ok(None),
        Cell::Number(x) => of_number(*x, count),
        Cell::Text(text) => {
            if let Some(index) = names.and_then(|names| names.iter().position(|name| name == text)) {
                return Ok(Some(index as i64));
            }
            match (text.parse::<f64>(), names) {
                (Ok(x), _) if x.is_finite() => of_number(x, count),
                (_, Some(names)) => Err(Fault {
                    help: suggestion(text, names.iter().map(String::as_str)),
                    ..Fault::new(format!("`{}` is none of the {count} classes", shorten(text)))
                }),
                (_, None) => Err(Fault::new(format!("`{}` is no class index", shorten(text)))
                    .help("declare the names of the classes: `class[\"first\", \"second\"]`")),
            }
        }
    }
}

/// The index of a class given as a number; NaN has none.
pub fn of_number(x: f64, count: usize) -> Result<Option<i64>, Fault> {
    if x.is_nan() {
        Ok(None)
    } else if x.fract() != 0.0 || x.is_infinite() {
        Err(Fault::new(format!("`{x}` is no class index")).help("a class is a whole number, counted from 0"))
    } else if x < 0.0 || x >= count as f64 {
        Err(Fault::new(format!("class `{x}` is outside the {count} classes"))
            .help(format!("classes count from 0 to {}", count.saturating_sub(1))))
    } else {
        Ok(Some(x as i64))
    }
}
