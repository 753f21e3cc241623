//! Which rows an epoch trains on, and in which order.
//!
//! An epoch has as many rows as there are training rows, however they are chosen. Where sources are drawn unlike their sizes, a
//! source of few rows gives some of them several times: each row as often as any other, or once more. The order follows from the
//! seed and the epoch alone, so a resumed run meets the rows that an uninterrupted one meets.

use super::sources::{RowId, Sources};
use crate::base::{Diagnostic, Result};
use crate::data::Split;
use crate::engine::generator;
use crate::model::{Model, Sampling};
use indexmap::IndexMap;
use rand::seq::SliceRandom;

/// The training rows of a model, and how those of an epoch are chosen.
pub struct Sampler {
    sampling: Sampling,
    /// The rows of each source that are trained on.
    sources: Vec<Vec<usize>>,
    batch: usize,
    seed: u64,
}

impl Sampler {
    /// Fails where there is no row to train on.
    pub fn new(model: &Model, sources: &Sources) -> Result<Sampler> {
        let complete = model.trains_on_complete_rows();
        let rows = |dataset: &crate::data::Dataset| {
            let has_all = |row: &usize| model.terms.iter().all(|term| dataset.has_label(&term.target, *row));
            dataset.rows(Split::Train).iter().copied().filter(|row| !complete || has_all(row)).collect()
        };
        let sources: Vec<Vec<usize>> = sources.datasets.iter().map(rows).collect();
        let (batch, seed) = (model.train.size("batch"), model.train.int("seed") as u64);
        let sampler = Sampler { sampling: model.sampling(), sources, batch, seed };
        if sampler.rows() == 0 {
            return Err(if complete {
                Diagnostic::error("no training row has the label of every task")
                    .help("leave `complete` out: each task learns from the rows that have its label")
            } else {
                Diagnostic::error("there are no training rows").help("let `split` begin with a share above 0")
            }
            .into());
        }
        if sampler.shares().iter().all(|share| *share == 0.0) {
            let diagnostic = Diagnostic::error("the sources that have a weight above 0 have no rows to train on");
            return Err(diagnostic.help("give another one a weight").into());
        }
        Ok(sampler)
    }

    /// Rows of an epoch.
    pub fn rows(&self) -> usize {
        self.sources.iter().map(Vec::len).sum()
    }

    /// How much each source counts; nothing where it has no rows.
    fn shares(&self) -> Vec<f64> {
        let share = |(i, rows): (usize, &Vec<usize>)| match &self.sampling {
            _ if rows.is_empty() => 0.0,
            Sampling::Once | Sampling::RoundRobin => rows.len() as f64,
            Sampling::Power(exponent) => libm::pow(rows.len() as f64, *exponent),
            Sampling::Weights(weights) => weights[i],
        };
        self.sources.iter().enumerate().map(share).collect()
    }

    /// The rows of an epoch, counted from 0, in the order in which its batches take them.
    pub fn order(&self, epoch: u64) -> Vec<RowId> {
        if self.sampling == Sampling::RoundRobin {
            return self.turns(epoch);
        }
        let mut order: Vec<RowId> = vec![];
        let counts = match &self.sampling {
            Sampling::Once => self.sources.iter().map(Vec::len).collect(),
            _ => apportion(self.rows(), &self.shares()),
        };
        for (source, (rows, count)) in self.sources.iter().zip(counts).enumerate() {
            if count == rows.len() {
                order.extend(rows.iter().map(|row| (source, *row)));
            } else {
                order.extend(self.stream(source, epoch).take(count));
            }
        }
        order.shuffle(&mut generator(self.seed, "shuffle", "", epoch));
        order
    }

    /// The rows of a source in random order, again and again, each time in another.
    fn stream(&self, source: usize, epoch: u64) -> impl Iterator<Item = RowId> {
        let mut random = generator(self.seed, "sample", &source.to_string(), epoch);
        let rows = &self.sources[source];
        std::iter::repeat_with(move || {
            let mut rows = rows.clone();
            rows.shuffle(&mut random);
            rows
        })
        .flatten()
        .map(move |row| (source, row))
    }

    /// Batches of one source each, in turn. The turns go on from epoch to epoch, so that no source is favoured by an odd number.
    fn turns(&self, epoch: u64) -> Vec<RowId> {
        let filled: Vec<usize> = (0..self.sources.len()).filter(|i| !self.sources[*i].is_empty()).collect();
        let mut streams: Vec<_> = filled.iter().map(|i| self.stream(*i, epoch)).collect();
        let rows = self.rows();
        let steps = rows.div_ceil(self.batch);
        let mut order = Vec::with_capacity(rows);
        for step in 0..steps {
            let turn = (epoch as usize).wrapping_mul(steps).wrapping_add(step) % streams.len();
            order.extend(streams[turn].by_ref().take(self.batch.min(rows - order.len())));
        }
        order
    }

    /// How the rows of an epoch are chosen, where that is not each row once: lines for a person.
    pub fn told(&self, model: &Model, sources: &Sources) -> Vec<String> {
        let mut lines = vec![];
        let all: usize = sources.datasets.iter().map(|dataset| dataset.rows(Split::Train).len()).sum();
        if self.rows() < all {
            lines.push(format!("complete: {} of {all} training rows have the label of every task", self.rows()));
        }
        if self.sampling != Sampling::Once {
            let counts = counts(model, &self.order(0));
            let of = |(name, count): (&String, &u64)| format!("{count} rows of `{name}`");
            let list: Vec<String> = counts.iter().map(of).collect();
            lines.push(format!("sample: the first epoch draws {}", list.join(", ")));
        }
        lines
    }
}

/// Rows of each source, by the name of the data.
pub fn counts(model: &Model, order: &[RowId]) -> IndexMap<String, u64> {
    let of = |i: usize| order.iter().filter(|(source, _)| *source == i).count() as u64;
    model.data.iter().enumerate().map(|(i, data)| (data.name.clone(), of(i))).collect()
}

/// Divides `total` by shares: the whole part of each, and what is left to the largest remainders, the first of equal ones first.
fn apportion(total: usize, shares: &[f64]) -> Vec<usize> {
    let sum: f64 = shares.iter().sum();
    let exact: Vec<f64> = shares.iter().map(|share| total as f64 * (share / sum)).collect();
    let mut counts: Vec<usize> = exact.iter().map(|x| x.floor() as usize).collect();
    let mut by_remainder: Vec<usize> = (0..shares.len()).filter(|i| shares[*i] > 0.0).collect();
    by_remainder.sort_by(|a, b| (exact[*b].fract()).total_cmp(&exact[*a].fract()));
    let left = total.saturating_sub(counts.iter().sum());
    by_remainder.iter().take(left).for_each(|i| counts[*i] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(sampling: Sampling, sizes: &[usize]) -> Sampler {
        let sources = sizes.iter().map(|n| (0..*n).collect()).collect();
        Sampler { sampling, sources, batch: 4, seed: 3 }
    }

    fn of(order: &[RowId], source: usize) -> usize {
        order.iter().filter(|(s, _)| *s == source).count()
    }

    #[test]
    fn totals_are_divided_to_the_last_row() {
        assert_eq!(apportion(10, &[1.0, 1.0, 1.0]), [4, 3, 3]);
        assert_eq!(apportion(7, &[0.0, 2.0, 1.0]), [0, 5, 2]);
        assert_eq!(apportion(3, &[1e-300, 1.0]), [0, 3]);
    }

    #[test]
    fn each_row_comes_once_unless_something_else_is_said() {
        let sampler = sampler(Sampling::Once, &[5, 9]);
        let (first, second) = (sampler.order(0), sampler.order(1));
        assert_ne!(first, second);
        let sorted = |mut order: Vec<RowId>| {
            order.sort_unstable();
            order
        };
        let all: Vec<RowId> = (0..5).map(|row| (0, row)).chain((0..9).map(|row| (1, row))).collect();
        assert_eq!(sorted(first), all);
        assert_eq!(sorted(second), all);
    }

    /// A temperature of 2 takes square roots: of 4 and 100 rows 2 and 10, which are 17 and 87 of 104.
    #[test]
    fn sources_count_by_power_and_by_weight() {
        let order = sampler(Sampling::Power(0.5), &[4, 100]).order(0);
        assert_eq!([of(&order, 0), of(&order, 1)], [17, 87]);
        // Each of the 4 rows comes four times, and one of them once more.
        let mut times = [0; 4];
        order.iter().filter(|(source, _)| *source == 0).for_each(|(_, row)| times[*row] += 1);
        times.sort_unstable();
        assert_eq!(times, [4, 4, 4, 5]);
        let order = sampler(Sampling::Weights(vec![3.0, 1.0, 0.0]), &[2, 6, 8]).order(5);
        assert_eq!([of(&order, 0), of(&order, 1), of(&order, 2)], [12, 4, 0]);
    }

    #[test]
    fn sources_take_turns_batch_by_batch() {
        let sampler = sampler(Sampling::RoundRobin, &[3, 0, 15]);
        let batches = |epoch| -> Vec<Vec<usize>> {
            let order = sampler.order(epoch);
            assert_eq!(order.len(), 18);
            order.chunks(4).map(|batch| batch.iter().map(|(source, _)| *source).collect()).collect()
        };
        assert_eq!(batches(0), [vec![0; 4], vec![2; 4], vec![0; 4], vec![2; 4], vec![0; 2]]);
        // The second epoch goes on with the other source.
        assert_eq!(batches(1)[0], [2; 4]);
    }
}
