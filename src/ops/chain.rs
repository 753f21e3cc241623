//! Linear chains of labels: what a conditional random field sums up, and its best path (Lafferty et al. 2001).
//!
//! The scores of a chain of `n` labels stand in `n · (n + 2)` numbers at each place, `[n + 2, n]` in rows. At place `t`
//!
//! - `[p, c]` is the score of label `c` behind the label `p`, its own score included;
//! - `[n, c]` is the score of `c` where the chain begins at `t`;
//! - `[n + 1, c]` is the score of a chain that ends in `c` at `t`.
//!
//! A path `y` over the places `t₁ < … < t_m` has the score `[n, y₁]` at `t₁`, plus `[y_(k−1), y_k]` at each later `t_k`, plus
//! `[n + 1, y_m]` at `t_m`. Places between them are passed over, so any place may lack a label: what follows a gap follows the
//! label before the gap. Sums are in 64 bits; with scores that are NaN they are NaN.

/// How many numbers a chain of so many labels has at each place.
pub fn width(labels: usize) -> usize {
    labels.saturating_mul(labels.saturating_add(2))
}

/// How many labels the chains of that width have, if it is the width of one.
pub fn labels(width: usize) -> Option<usize> {
    let labels = width.saturating_add(1).isqrt().checked_sub(1)?;
    (labels > 0 && self::width(labels) == width).then_some(labels)
}

/// The scores of one chain, `[places, width]` in rows.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    scores: &'a [f32],
    labels: usize,
}

/// The places that have a label, and their labels, of a row of indices; negative ones and those beyond the labels have none.
pub fn labelled(ids: &[i64], labels: usize) -> impl Iterator<Item = (usize, usize)> + Clone + '_ {
    let label = move |id: i64| usize::try_from(id).ok().filter(|&label| label < labels);
    ids.iter().enumerate().filter_map(move |(place, &id)| Some((place, label(id)?)))
}

impl<'a> Chain<'a> {
    pub fn new(scores: &'a [f32], labels: usize) -> Self {
        Self { scores, labels }
    }

    /// The scores at a place behind a label, or behind `labels` where the chain begins; at `labels + 1` those of its end.
    fn row(&self, place: usize, from: usize) -> &'a [f32] {
        &self.scores[(place * (self.labels + 2) + from) * self.labels..][..self.labels]
    }

    fn start(&self, place: usize) -> &'a [f32] {
        self.row(place, self.labels)
    }

    fn end(&self, place: usize) -> &'a [f32] {
        self.row(place, self.labels + 1)
    }

    /// `ln Σ e^score` over all paths, minus the score of the path that `ids` say; `None` where no place has a label.
    ///
    /// With a `gradient`, which is laid out as the scores are, `scale` times the derivative is added to it: how likely each
    /// step of the chain is, minus 1 for the steps of the path. `work` is memory that grows as needed.
    pub fn surprise(&self, ids: &[i64], work: &mut Vec<f64>, gradient: Option<(&mut [f32], f64)>) -> Option<f64> {
        let n = self.labels;
        let path = labelled(ids, n);
        let (first, last, places) =
            path.clone().fold((None, None, 0), |(first, _, count), step| (first.or(Some(step)), Some(step), count + 1));
        let (first, last): ((usize, usize), (usize, usize)) = (first?, last?);
        work.clear();
        work.resize((places + 2) * n, 0.0);
        let (forward, rest) = work.split_at_mut(places * n);
        let (backward, later) = rest.split_at_mut(n);

        let mut score = f64::from(self.start(first.0)[first.1]) + f64::from(self.end(last.0)[last.1]);
        for (a, w) in forward.iter_mut().zip(self.start(first.0)) {
            *a = f64::from(*w);
        }
        for (k, ((_, from), (place, to))) in path.clone().zip(path.clone().skip(1)).enumerate() {
            score += f64::from(self.row(place, from)[to]);
            let (before, after) = forward[k * n..].split_at_mut(n);
            for (c, after) in after[..n].iter_mut().enumerate() {
                *after = log_sum_exp((0..n).map(|p| before[p] + f64::from(self.row(place, p)[c])));
            }
        }
        let ends = self.end(last.0);
        let all = log_sum_exp((0..n).map(|c| forward[(places - 1) * n + c] + f64::from(ends[c])));
        let Some((gradient, scale)) = gradient else { return Some(all - score) };

        let mut add = |place: usize, from: usize, to: usize, likely: f64, named: bool| {
            gradient[(place * (n + 2) + from) * n + to] += (scale * (likely - f64::from(u8::from(named)))) as f32;
        };
        let last_row = &forward[(places - 1) * n..];
        for (c, ((b, end), a)) in backward.iter_mut().zip(ends).zip(last_row).enumerate() {
            *b = f64::from(*end);
            add(last.0, n + 1, c, (a + *b - all).exp(), c == last.1);
        }
        // From the last step to the first. Steps are found by their number, since an iterator that filters cannot turn around.
        let mut labels_of =
            ids.iter().enumerate().rev().filter_map(|(place, &id)| {
                usize::try_from(id).ok().filter(|&label| label < n).map(|label| (place, label))
            });
        let mut here = labels_of.next().expect("there is a last one");
        for k in (1..places).rev() {
            let before = labels_of.next().expect("as many as were counted");
            for p in 0..n {
                let row = self.row(here.0, p);
                let alpha = forward[(k - 1) * n + p];
                for (c, (w, b)) in row.iter().zip(&*backward).enumerate() {
                    let likely = (alpha + f64::from(*w) + b - all).exp();
                    add(here.0, p, c, likely, (p, c) == (before.1, here.1));
                }
                later[p] = log_sum_exp((0..n).map(|c| f64::from(row[c]) + backward[c]));
            }
            backward.copy_from_slice(later);
            here = before;
        }
        for (c, (w, b)) in self.start(first.0).iter().zip(&*backward).enumerate() {
            add(first.0, n, c, (f64::from(*w) + b - all).exp(), c == first.1);
        }
        Some(all - score)
    }

    /// The path of the highest score over these places (Viterbi 1967), a label for each. Of equals the first label wins, at the
    /// end of the chain and then step by step before it.
    pub fn best(&self, places: &[usize]) -> Vec<usize> {
        let n = self.labels;
        let Some((&first, later)) = places.split_first() else { return vec![] };
        let mut best: Vec<f64> = self.start(first).iter().map(|&w| f64::from(w)).collect();
        let mut came_from: Vec<Vec<usize>> = vec![];
        for &place in later {
            let step = |c: usize| {
                let score = |p: usize| best[p] + f64::from(self.row(place, p)[c]);
                let from = (1..n).fold(0, |from, p| if score(p) > score(from) { p } else { from });
                (score(from), from)
            };
            let (scores, from): (Vec<f64>, Vec<usize>) = (0..n).map(step).unzip();
            came_from.push(from);
            best = scores;
        }
        let ends = self.end(*places.last().unwrap_or(&first));
        let score = |c: usize| best[c] + f64::from(ends[c]);
        let mut label = (1..n).fold(0, |best, c| if score(c) > score(best) { c } else { best });
        let mut path = vec![label];
        for from in came_from.iter().rev() {
            label = from[label];
            path.push(label);
        }
        path.reverse();
        path
    }

    /// Whether a score at a place is NaN.
    pub fn has_nan(&self, place: usize) -> bool {
        (0..self.labels + 2).any(|from| self.row(place, from).iter().any(|w| w.is_nan()))
    }
}

/// `ln Σ e^x`, shifted by the largest, so that nothing overflows.
fn log_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY && terms.clone().all(|x| x == most) {
        return most;
    }
    most + terms.map(|x| (x - most).exp()).sum::<f64>().ln()
}
