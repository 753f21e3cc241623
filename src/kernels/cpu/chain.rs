//! Chains of labels: `potentials`, which lays their scores out, and `crf`, the loss of a path. Formulas stand with the ops.

use super::parallel::{Kept, kept, pieces};
use super::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::chain::{self, Chain};
use crate::ops::crf::Crf;
use crate::ops::potentials::Potentials;
use std::cell::RefCell;

/// Inputs: x, transitions, start, end.
impl Kernel for Potentials {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let [x, w, start, end] = [0, 1, 2, 3].map(|i| inputs[i].numbers());
        let n = shapes.inputs[0][2];
        let width = chain::width(n);
        pieces(output, width, width, |token, y| {
            let x = &x[token * n..][..n];
            let (steps, last) = y.split_at_mut((n + 1) * n);
            let rows = w.chunks_exact(n).chain(std::iter::once(start));
            for (y, row) in steps.chunks_exact_mut(n).zip(rows) {
                y.iter_mut().zip(x.iter().zip(row)).for_each(|(y, (x, w))| *y = x + w);
            }
            last.copy_from_slice(end);
        });
    }

    /// The gradients of the tables are added up token by token.
    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let n = call.shapes.inputs[0][2];
        let width = chain::width(n);
        let [dx, dw, dstart, dend] = gradients else { panic!("bug: `potentials` has four inputs") };
        let dy = call.cotangent;
        if let Some(dx) = dx {
            let add = dx.add;
            pieces(dx.data, n, width, |token, dx| {
                if !add {
                    dx.fill(0.0);
                }
                let rows = dy[token * width..][..(n + 1) * n].chunks_exact(n);
                rows.for_each(|row| dx.iter_mut().zip(row).for_each(|(g, d)| *g += d));
            });
        }
        let tables = [(dw, 0, n * n), (dstart, n * n, n), (dend, (n + 1) * n, n)];
        for (table, from, len) in tables {
            let Some(table) = table else { continue };
            if !table.add {
                table.data.fill(0.0);
            }
            let rows = dy.chunks_exact(width).map(|dy| &dy[from..][..len]);
            rows.for_each(|dy| table.data.iter_mut().zip(dy).for_each(|(g, d)| *g += d));
        }
    }
}

thread_local! {
    /// What a thread keeps for the sums along a chain.
    static WORK: RefCell<Vec<f64>> = const { RefCell::new(vec![]) };
}

/// A batch of chains with the labels that say their paths.
struct Chains<'a> {
    scores: &'a [f32],
    ids: &'a [i64],
    present: &'a [f32],
    tokens: usize,
    width: usize,
    labels: usize,
}

impl<'a> Chains<'a> {
    fn new(inputs: &[Input<'a>], shapes: &Shapes) -> Self {
        let (scores, ids, present) = (inputs[0].numbers(), inputs[1].ids(), inputs[2].numbers());
        let [_, tokens, width] = shapes.inputs[0][..] else { unreachable!("the signature asks for it") };
        let labels = chain::labels(width).expect("the signature asks for it");
        Self { scores, ids, present, tokens, width, labels }
    }

    /// The labels of a row that is present.
    fn path(&self, row: usize) -> &'a [i64] {
        if self.present[row] == 0.0 { &[] } else { &self.ids[row * self.tokens..][..self.tokens] }
    }

    fn size(&self) -> usize {
        self.tokens * self.width
    }

    /// Operations of a row: some 40 for each exponential.
    fn work(&self) -> usize {
        120 * self.size()
    }

    fn surprise(&self, row: usize, gradient: Option<(&mut [f32], f64)>) -> Option<f64> {
        let scores = &self.scores[row * self.size()..][..self.size()];
        WORK.with_borrow_mut(|work| Chain::new(scores, self.labels).surprise(self.path(row), work, gradient))
    }

    /// How many rows have a label somewhere.
    fn counted(&self) -> usize {
        let has_label = |row: &usize| chain::labelled(self.path(*row), self.labels).next().is_some();
        (0..self.present.len()).filter(has_label).count()
    }
}

/// Inputs: prediction, labels, presence.
impl Kernel for Crf {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let chains = Chains::new(inputs, shapes);
        let mut losses: Kept = kept(chains.present.len());
        pieces(&mut losses, 1, chains.work(), |row, loss| loss[0] = chains.surprise(row, None).unwrap_or(0.0) as f32);
        let sum: f64 = losses.iter().map(|loss| f64::from(*loss)).sum();
        output[0] = (sum / chains.counted().max(1) as f64) as f32;
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let chains = Chains::new(call.inputs, call.shapes);
        let scale = f64::from(call.cotangent[0]) / chains.counted().max(1) as f64;
        let add = dx.add;
        pieces(dx.data, chains.size(), chains.work(), |row, dx| {
            if !add {
                dx.fill(0.0);
            }
            chains.surprise(row, Some((dx, scale)));
        });
    }
}
