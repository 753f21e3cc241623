//! The rows of a file of features: every row of every split as it is measured, and behind them the variants of the training rows,
//! all rows of the first, all of the second, and so on. Nothing is listed whose number a spec says.

use crate::data::Split;
use crate::train::sources::{RowId, Sources};

pub struct Rows {
    /// Every row of every split, ascending.
    pub all: Vec<RowId>,
    /// Those that are trained on, ascending; none where nothing is drawn.
    drawn: Vec<RowId>,
    /// How many variants there are of each of them.
    pub variants: Option<u64>,
}

impl Rows {
    pub fn of(sources: &Sources, variants: Option<u64>) -> Rows {
        let sorted = |splits: &[Split]| {
            let mut rows: Vec<RowId> = splits.iter().flat_map(|split| sources.rows(*split)).collect();
            rows.sort_unstable();
            rows
        };
        let drawn = variants.map(|_| sorted(&[Split::Train])).unwrap_or_default();
        Rows { all: sorted(&Split::ALL), drawn, variants }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let variants = usize::try_from(self.variants.unwrap_or(0)).unwrap_or(usize::MAX);
        self.drawn.len().saturating_mul(variants).saturating_add(self.all.len())
    }

    /// Where a row stands: as it is measured, or a variant of a training row, counted from 0.
    pub fn place(&self, row: RowId, variant: Option<u64>) -> usize {
        let (before, rows) = match variant {
            None => (0, &self.all),
            Some(variant) => (self.all.len() + variant as usize * self.drawn.len(), &self.drawn),
        };
        before
            + rows.binary_search(&row).expect("every row of every split has features, and each training row variants")
    }

    /// All of them in order, at most so many at a time, and which variant they are.
    pub fn passes(&self, most: usize) -> impl Iterator<Item = (Option<u64>, &[RowId])> {
        let variants = (0..self.variants.unwrap_or(0)).map(|variant| (Some(variant), &self.drawn));
        let groups = std::iter::once((None, &self.all)).chain(variants);
        groups.flat_map(move |(variant, rows)| rows.chunks(most).map(move |chunk| (variant, chunk)))
    }
}
