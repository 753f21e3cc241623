//! The chain of one field: columns, steps and end, checked against each other before a value passes.

use super::draw::Row;
use super::end::{self, End, Prepared};
use super::fit::FittedField;
use super::form::{Cell, Example, Fault, Form};
use super::problem::{self, Problems};
use super::split::Split;
use super::step::{Field, STEPS, Step};
use super::table::{Store, Table};
use super::{FieldSpec, FieldType};
use crate::base::{Diagnostic, Diagnostics, Result, Span};
use std::path::{Path, PathBuf};

/// A field, ready to prepare examples once its steps have learned.
pub struct Chain {
    pub name: String,
    pub is_target: bool,
    pub ty: FieldType,
    pub columns: Vec<String>,
    /// Whether the table has the columns; only the labels of new data may be absent.
    pub has_columns: bool,
    pub end: End,
    /// Whether examples are images in files, which are decoded only when they are asked for.
    pub reads_files: bool,
    /// Whether a training row has another value each epoch.
    pub is_drawn: bool,
    /// Whether missing inputs are filled.
    fills: bool,
    form: Form,
    links: Vec<Link>,
    /// The place of the field in the spec.
    pub span: Span,
}

struct Link {
    step: Box<dyn Step>,
    span: Span,
}

impl Chain {
    /// Checks that each step takes what the one before gives, and that the end is what the model declared.
    ///
    /// `folder` is that of the source's first file, and `root` that of the spec. A fitted field gives form and classes of columns that the table lacks, and the state of every step.
    pub fn new(
        spec: &FieldSpec,
        columns: Vec<String>,
        table: &Table,
        (folder, root): (&Path, &Path),
        fitted: Option<&FittedField>,
    ) -> Result<Chain> {
        let has_columns = columns.iter().all(|name| table.columns.contains_key(name));
        let start = match fitted {
            Some(fitted) if !has_columns => fitted.form.clone(),
            _ => table.form(&columns),
        };
        let ty = spec.role.field_type();
        let mut field = Field { is_target: spec.role.is_target(), ty, columns: &columns, folder, root, nth: 0 };
        let mut form = start.clone();
        let mut shapes = format!("`{}` gives {form}", spec.column.signature.name);
        let mut reads_files = form.known().is_none();
        let mut links = vec![];
        for (k, call) in spec.steps.iter().enumerate() {
            let name = call.signature.name;
            field.nth = spec.steps[..k].iter().filter(|before| before.signature.name == name).count();
            let part = STEPS.iter().find(|part| part.signature.name == name).expect("bound from the list");
            let (step, out) = (part.make)(&call.args, &form, &field).map_err(|fault| {
                let diagnostic = Diagnostic::error(fault.message).at(call.span).note(shapes.clone());
                match fault.help {
                    Some(help) => diagnostic.help(help),
                    None => diagnostic,
                }
            })?;
            links.push(Link { step, span: call.span });
            form = out;
            reads_files |= form.known().is_none();
            shapes += &format!(" -> `{name}` gives {form}");
        }
        let known = fitted.and_then(|fitted| fitted.classes.as_deref());
        let known = known.or_else(|| table.columns.get(&columns[0])?.classes.as_deref());
        let mut notes = vec![shapes];
        if columns.len() > 1 {
            let names = problem::list(columns.iter().map(String::as_str));
            notes.push(format!("the {} columns are {names}", columns.len()));
        }
        let end = End::new(spec, &form, known, &notes)?;
        let mut chain = Chain {
            name: spec.name.clone(),
            is_target: field.is_target,
            ty: ty.clone(),
            columns,
            has_columns,
            end,
            reads_files,
            is_drawn: spec.draws_on(Split::Train),
            fills: spec.steps.iter().any(|call| call.signature.name == "fill"),
            form: start,
            links,
            span: spec.span,
        };
        if let Some(fitted) = fitted {
            chain.restore(fitted)?;
        }
        Ok(chain)
    }

    /// Lets each step that learns see the training rows, in order.
    pub fn learn(&mut self, table: &Table, rows: &[usize]) -> Result<()> {
        for k in 0..self.links.len() {
            if !self.links[k].step.learns() {
                continue;
            }
            let mut problems = Problems::default();
            for &index in rows {
                let seen = self.run(table, Row { index, split: Some(Split::Train), moment: None }, k);
                if let Err(fault) = seen.and_then(|example| self.links[k].step.observe(example)) {
                    problems.add(|| self.place(table, index, &fault), fault.clone());
                }
            }
            if let Some(diagnostic) = problems.diagnostic(Some(self.span)) {
                return Err(diagnostic.into());
            }
            if let Err(fault) = self.links[k].step.finish() {
                let column = self.column(&fault);
                let place = format!("{}, column \"{column}\"", table.name);
                let diagnostic = Diagnostic::error(fault.message).at(self.links[k].span).place(place);
                return Err(match fault.help {
                    Some(help) => diagnostic.help(help),
                    None => diagnostic,
                }
                .into());
            }
        }
        Ok(())
    }

    fn restore(&mut self, fitted: &FittedField) -> Result<()> {
        let fits = fitted.steps.len() == self.links.len()
            && self.links.iter_mut().zip(&fitted.steps).all(|(link, state)| link.step.restore(state));
        if !fits {
            let message = format!("what the former run learned for `{}` does not fit its steps", self.name);
            return Err(Diagnostic::error(message)
                .at(self.span)
                .help("use the spec that the run was trained with, or train again")
                .into());
        }
        Ok(())
    }

    pub fn fitted(&self) -> FittedField {
        let classes = if let End::Classes(classes) = &self.end { classes.names.clone() } else { None };
        let steps = self.links.iter().map(|link| link.step.state()).collect();
        FittedField { columns: self.columns.clone(), form: self.form.clone(), classes, steps }
    }

    /// The example before step `until`.
    fn run(&self, table: &Table, row: Row, until: usize) -> std::result::Result<Example, Fault> {
        let mut example = table.example(&self.columns, row.index)?;
        if self.is_target {
            if matches!(&example, Example::Cells { cells, .. } if cells.iter().all(|cell| *cell == Cell::Empty)) {
                return Ok(Example::Missing);
            }
        } else if !self.fills {
            present(&example)?;
        }
        for link in &self.links[..until] {
            if example == Example::Missing {
                break;
            }
            example = link.step.apply(example, row)?;
        }
        Ok(example)
    }

    /// The file that preparing a row reads besides those of the source, where there is one.
    pub fn file(&self, table: &Table, index: usize) -> Option<PathBuf> {
        let reads =
            |k: usize| self.links[k].step.file(&self.run(table, Row { index, split: None, moment: None }, k).ok()?);
        // Behind a file stands what it holds, which no step takes for the name of another.
        if self.reads_files && self.form.known().is_some() { (0..self.links.len()).find_map(reads) } else { None }
    }

    /// The prepared value of a row; never missing for an input.
    pub fn prepare(&self, table: &Table, row: Row) -> std::result::Result<Prepared, Fault> {
        if !self.has_columns {
            return Ok(Prepared::Missing);
        }
        let example = self.run(table, row, self.links.len())?;
        let prepared = self.end.apply(example)?;
        if !self.is_target && prepared == Prepared::Missing {
            return Err(Fault::new("an input is missing").help(FILL));
        }
        Ok(prepared)
    }

    /// Undoes the steps on predictions, from the last to the first.
    pub fn invert(&self, values: &mut [f32]) {
        if matches!(self.end, End::Numbers | End::Places) {
            self.links.iter().rev().for_each(|link| link.step.invert(values));
        }
    }

    /// Checks the values of a row as the file has them, without preparing them.
    pub fn check_raw(&self, table: &Table, row: usize) -> std::result::Result<(), Fault> {
        let example = table.example(&self.columns, row)?;
        match &example {
            Example::Numbers { data, .. } if data.iter().any(|x| x.is_infinite()) => Err(Fault::new(end::NOT_FINITE)),
            _ if self.fills => Ok(()),
            _ => present(&example),
        }
    }

    /// Whether the numbers of the file may be missing or infinite.
    pub fn may_lack(&self, table: &Table) -> bool {
        self.columns.iter().filter_map(|name| table.columns.get(name)).any(|column| match &column.store {
            Store::Numbers(numbers) | Store::Images(numbers) => numbers.element.is_float(),
            _ => true,
        })
    }

    /// The column that a fault is about.
    fn column(&self, fault: &Fault) -> &str {
        let several = (self.columns.len() > 1).then_some(fault.element).flatten();
        several.and_then(|i| self.columns.get(i)).unwrap_or(&self.columns[0])
    }

    pub fn place(&self, table: &Table, row: usize, fault: &Fault) -> String {
        table.place(self.column(fault), row)
    }

    /// The diagnostic of all problems with this field.
    pub fn report(&self, problems: Problems, to: &mut Diagnostics) {
        problems.report(Some(self.span), to);
    }
}

const FILL: &str = "`-> fill(mean)` fills missing inputs";

/// That no part of an input is missing.
fn present(example: &Example) -> std::result::Result<(), Fault> {
    let missing = match example {
        Example::Cells { cells, .. } => cells.iter().position(|cell| *cell == Cell::Empty),
        Example::Numbers { data, .. } => data.iter().position(|x| x.is_nan()),
        Example::Ids { .. } | Example::Missing => None,
    };
    match missing {
        Some(i) => Err(Fault::new("an input is missing").help(FILL).element(i)),
        None => Ok(()),
    }
}
