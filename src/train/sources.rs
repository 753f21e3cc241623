//! The data of a model: one or several sources, drawn from together.
//!
//! A row is known by its source and its number there. A batch may mix sources; a target that a source does not give is missing
//! for its rows.

use crate::base::{DType, Diagnostics, Result};
use crate::data::{Array, Batch, DataSpec, Dataset, Fitted, Moment, Split};
use crate::model::Model;
use indexmap::IndexMap;
use std::path::PathBuf;

/// A row: the number of its source, and its number there.
pub type RowId = (usize, usize);

pub struct Sources<'a> {
    model: &'a Model,
    pub datasets: Vec<Dataset>,
}

/// What preparation steps learned from the training rows, by the name of the data.
pub type Preparation = IndexMap<String, Fitted>;

impl<'a> Sources<'a> {
    /// Opens every source and fits the preparation steps on its training rows.
    pub fn open(model: &'a Model) -> Result<Self> {
        Self::each(model, Dataset::open)
    }

    /// Opens every source with the preparation of a former run.
    pub fn open_fitted(model: &'a Model, preparation: &Preparation) -> Result<Self> {
        Self::each(model, |spec| match preparation.get(&spec.name) {
            Some(fitted) => Dataset::open_fitted(spec, fitted),
            None => Dataset::open(spec),
        })
    }

    /// Opens the first source for prediction: over other files if any are given, and without need of labels.
    pub fn open_unlabelled(model: &'a Model, files: Option<&[PathBuf]>, preparation: &Preparation) -> Result<Self> {
        let spec = model.data.first().ok_or_else(no_data)?;
        let fitted = preparation.get(&spec.name).ok_or_else(|| {
            crate::base::Diagnostic::error(format!("the run knows no preparation for the data `{}`", spec.name))
        })?;
        Ok(Self { model, datasets: vec![Dataset::open_unlabelled(spec, files, fitted)?] })
    }

    fn each(model: &'a Model, open: impl Fn(&DataSpec) -> Result<Dataset>) -> Result<Self> {
        if model.data.is_empty() {
            return Err(no_data().into());
        }
        let mut diagnostics = Diagnostics::default();
        let datasets: Vec<Dataset> = model.data.iter().filter_map(|spec| diagnostics.take(open(spec))).collect();
        diagnostics.into_result(Self { model, datasets })
    }

    /// The rows of a split, source by source.
    pub fn rows(&self, split: Split) -> Vec<RowId> {
        let of = |(i, d): (usize, &Dataset)| d.rows(split).iter().map(move |&row| (i, row)).collect::<Vec<_>>();
        self.datasets.iter().enumerate().flat_map(of).collect()
    }

    pub fn preparation(&self) -> Preparation {
        self.model.data.iter().zip(&self.datasets).map(|(spec, d)| (spec.name.clone(), d.fitted())).collect()
    }

    /// What the files held, by the name of the data.
    pub fn fingerprints(&self) -> IndexMap<String, String> {
        self.model
            .data
            .iter()
            .zip(&self.datasets)
            .map(|(spec, d)| (spec.name.clone(), d.fingerprint().to_string()))
            .collect()
    }

    /// The rows, gathered source by source in the order of the sources: the batch, and the source of each of its rows.
    pub fn batch(&self, rows: &[RowId]) -> Result<(Batch, Vec<usize>)> {
        self.batch_of(rows, &|_| true, None)
    }

    /// The same with those fields only that are wanted; in a pass over the training rows random steps draw.
    pub fn batch_of(
        &self,
        rows: &[RowId],
        wanted: &dyn Fn(&str) -> bool,
        moment: Option<Moment>,
    ) -> Result<(Batch, Vec<usize>)> {
        let mut whole = Batch { size: 0, values: IndexMap::new(), present: IndexMap::new() };
        let mut origin = vec![];
        for (i, dataset) in self.datasets.iter().enumerate() {
            let numbers: Vec<usize> = rows.iter().filter(|(source, _)| *source == i).map(|(_, row)| *row).collect();
            if numbers.is_empty() && (i > 0 || !rows.is_empty()) {
                continue;
            }
            origin.extend(std::iter::repeat_n(i, numbers.len()));
            let mut part = dataset.batch_of(&numbers, wanted, moment)?;
            self.complete(&mut part);
            append(&mut whole, part);
        }
        Ok((whole, origin))
    }

    pub fn is_target(&self, field: &str) -> bool {
        self.model.target(field).is_some()
    }

    /// Adds the targets that a source does not give, as missing.
    fn complete(&self, batch: &mut Batch) {
        for target in &self.model.targets {
            if batch.present.contains_key(&target.name) {
                continue;
            }
            let (dims, n) = (target.ty.ty.at(batch.size), target.ty.ty.elements(batch.size));
            let array = match target.ty.ty.dtype {
                DType::F32 => Array::F32 { dims, data: vec![0.0; n] },
                DType::I64 => Array::I64 { dims, data: vec![-1; n] },
            };
            batch.values.insert(target.name.clone(), array);
            batch.present.insert(target.name.clone(), vec![0.0; batch.size]);
        }
    }
}

fn no_data() -> crate::base::Diagnostic {
    crate::base::Diagnostic::error("the spec declares no data").help("add `data NAME = csv(…) { … }`")
}

fn append(whole: &mut Batch, part: Batch) {
    if whole.size == 0 {
        *whole = part;
        return;
    }
    whole.size += part.size;
    for (name, array) in part.values {
        match (whole.values.get_mut(&name), array) {
            (Some(Array::F32 { dims, data }), Array::F32 { data: more, .. }) => {
                dims[0] = whole.size;
                data.extend(more);
            }
            (Some(Array::I64 { dims, data }), Array::I64 { data: more, .. }) => {
                dims[0] = whole.size;
                data.extend(more);
            }
            _ => panic!("bug: two sources give `{name}` in different types"),
        }
    }
    for (name, present) in part.present {
        whole.present.entry(name).or_default().extend(present);
    }
}
