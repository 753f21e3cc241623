//! `categories`: one token per column for tables of categories: each pair of column and value seen in training has an id.
//!
//! Ids count from 1 in the order of the columns and, within one, of the values as text; 0 is a value not seen in training.

use super::{Field, Made, Step, StepKind};
use crate::base::signature::{Args, PartKind, Signature};
use crate::data::draw::Row;
use crate::data::form::{Cell, Example, Fault, Form, FormKind};
use serde_json::Value as Json;
use std::collections::BTreeMap;

pub static PART: StepKind = StepKind {
    signature: &Signature {
        name: "categories",
        kind: PartKind::Step,
        summary: "one token per column: an id for each value seen in training, 0 for others",
        params: &[],
    },
    make,
};

struct Categories {
    /// The ids of each column's values.
    ids: Vec<BTreeMap<String, i64>>,
    vocabulary: Option<usize>,
}

fn make(_: &Args, form: &Form, field: &Field) -> Result<Made, Fault> {
    let dims = form.known().filter(|_| form.kind == FormKind::Cells);
    let Some([count]) = dims.as_deref() else {
        return Err(Fault::new(format!("`categories` takes cells of a table, and got {form}")));
    };
    let step = Categories { ids: vec![BTreeMap::new(); *count], vocabulary: field.ty.vocabulary };
    Ok((Box::new(step), Form::new(FormKind::Tokens, &[*count])))
}

impl Categories {
    /// Numbers the values in order; an error when they exceed the vocabulary.
    fn number(&mut self) -> Result<(), Fault> {
        let mut next = 1;
        for id in self.ids.iter_mut().flat_map(BTreeMap::values_mut) {
            *id = next;
            next += 1;
        }
        match self.vocabulary {
            Some(vocabulary) if next as usize > vocabulary => {
                let message = format!("`categories` found {} values, and the vocabulary has {vocabulary}", next - 1);
                Err(Fault::new(message).help(format!("a vocabulary of {next} holds them, with 0 for unknown values")))
            }
            _ => Ok(()),
        }
    }
}

impl Step for Categories {
    fn learns(&self) -> bool {
        true
    }

    fn observe(&mut self, example: Example) -> Result<(), Fault> {
        if let Example::Cells { cells, .. } = example {
            for (ids, cell) in self.ids.iter_mut().zip(&cells).filter(|(_, cell)| **cell != Cell::Empty) {
                ids.insert(cell.text(), 0);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.number()
    }

    fn apply(&self, example: Example, _: Row) -> Result<Example, Fault> {
        let Example::Cells { cells, .. } = example else { return Ok(example) };
        let data = self.ids.iter().zip(&cells).map(|(ids, cell)| ids.get(&cell.text()).copied().unwrap_or(0)).collect();
        Ok(Example::Ids { dims: vec![cells.len()], data })
    }

    fn state(&self) -> Json {
        self.ids.iter().map(|ids| ids.keys().cloned().collect::<Json>()).collect()
    }

    fn restore(&mut self, state: &Json) -> bool {
        let Some(columns) = state.as_array().filter(|columns| columns.len() == self.ids.len()) else { return false };
        for (ids, values) in self.ids.iter_mut().zip(columns) {
            let Some(values) = values.as_array() else { return false };
            *ids = values.iter().filter_map(|value| value.as_str()).map(|value| (value.to_string(), 0)).collect();
        }
        self.number().is_ok()
    }
}
