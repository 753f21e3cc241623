//! Prepared values, kept in memory when all of them are small.

use super::chain::Chain;
use super::end::Prepared;
use crate::base::DType;
use std::sync::OnceLock;

/// Above this, values are prepared again each time they are asked for.
const MOST_BYTES: usize = 256 << 20;

/// A place per field and row, filled when a row is first prepared; no places when the values are too many.
pub struct Cache {
    rows: usize,
    values: Vec<OnceLock<Prepared>>,
}

impl Cache {
    /// Room for `rows` of each field, of which `used` will ever be asked for.
    pub fn new(chains: &[Chain], rows: usize, used: usize) -> Self {
        let bytes = chains.iter().try_fold(0usize, |sum, chain| {
            let size = if chain.ty.ty.dtype == DType::F32 { 4 } else { 8 };
            let inner = chain.ty.ty.inner().iter().try_fold(size, |product: usize, &n| product.checked_mul(n))?;
            sum.checked_add(inner.checked_mul(used)?)
        });
        let keeps = bytes.is_some_and(|bytes| bytes < MOST_BYTES);
        let values = if keeps { (0..chains.len() * rows).map(|_| OnceLock::new()).collect() } else { vec![] };
        Self { rows, values }
    }

    pub fn keeps(&self) -> bool {
        !self.values.is_empty()
    }

    pub fn get(&self, field: usize, row: usize) -> Option<&Prepared> {
        self.values.get(field * self.rows + row)?.get()
    }

    /// Keeps a value, if there is room. Preparing is deterministic, so whichever of two threads comes first is right.
    pub fn put(&self, field: usize, row: usize, value: &Prepared) {
        if let Some(place) = self.values.get(field * self.rows + row) {
            place.get_or_init(|| value.clone());
        }
    }
}
