//! Models held against each other: what of two evaluations can be compared, by how much they differ, and who is best.
//!
//! Heads have other names in other specs, and targets are what the data call them. So a measure is known by its metric and its
//! target: `accuracy(digit)`.

use super::evaluate::Evaluation;
use crate::base::signature::{Args, Call, Default};
use crate::model::{Model, print_call};
use crate::parts::metrics::{self, Direction};
use indexmap::IndexMap;

/// One figure of quality. There is none where no row had the label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub value: Option<f64>,
    pub direction: Direction,
}

/// Figures by metric and target.
pub type Quality = IndexMap<String, Figure>;

/// What an evaluation of a model says of each target: what the spec measures, and the loss of a target that it measures by nothing.
/// Where two heads answer one target, what the second one answers is also known by the head.
pub fn quality(model: &Model, evaluation: &Evaluation) -> Quality {
    let mut quality = Quality::new();
    let mut add = |name: String, head: &str, figure: Figure| {
        let name = if quality.contains_key(&name) { format!("{name} of {head}") } else { name };
        quality.insert(name, figure);
    };
    for measure in &model.measures {
        let direction = metrics::build(&measure.metric).direction();
        let value = evaluation.metrics.get(&measure.name).copied().flatten();
        add(by_target(&measure.metric, &measure.target), &measure.head, Figure { value, direction });
    }
    let measured = |target: &str| model.measures.iter().any(|m| m.target == target);
    for term in model.terms.iter().filter(|term| !measured(&term.target)) {
        let value = evaluation.losses.get(&term.name).copied().flatten();
        let name = by_target(&term.loss, &term.target);
        add(name, &term.head, Figure { value, direction: Direction::Lower });
    }
    quality
}

/// `top_k(genre, k: 3)`: a metric or a loss without its head. Arguments that have their default are left out, so that specs which
/// write them and specs which do not can be compared.
fn by_target(call: &Call, target: &str) -> String {
    let told = call.args.0.iter().skip(2).filter(|(name, arg)| {
        let param = call.signature.params.iter().find(|p| p.name == **name);
        let one = Args([(**name, (*arg).clone())].into_iter().collect());
        let shown = print_call(&Call { args: one, ..call.clone() });
        let default = |default| shown == format!("{}({name}: {default})", call.signature.name);
        !matches!(param.map(|p| &p.default), Some(Default::Is(text)) if default(*text))
    });
    let args = Args(told.map(|(name, arg)| (*name, arg.clone())).collect());
    let rest = print_call(&Call { args, ..call.clone() });
    let rest = rest.trim_start_matches(call.signature.name).trim_start_matches('(').trim_end_matches(')');
    let comma = if rest.is_empty() { "" } else { ", " };
    format!("{}({target}{comma}{rest})", call.signature.name)
}

/// Δm: by how much a model is better than a baseline, as the mean of the relative changes of all figures that both have. Positive is
/// better, whatever the direction of a figure (Maninis, Radosavovic and Kokkinos 2019, arXiv 1904.08918, with a sign for each
/// metric; papers on balancing often print its negative, a drop). Nothing where they have no figure in common, or where the
/// baseline's is 0, which nothing can be relative to.
pub fn delta(own: &Quality, baseline: &Quality) -> Option<f64> {
    let changes: Vec<f64> = own
        .iter()
        .filter_map(|(name, figure)| {
            let (value, base) = (figure.value?, baseline.get(name)?.value?);
            let change = (value - base) / base.abs();
            Some(if figure.direction == Direction::Higher { change } else { -change })
        })
        .collect();
    let mean = changes.iter().sum::<f64>() / changes.len() as f64;
    (!changes.is_empty() && mean.is_finite()).then_some(mean)
}

/// Which of these are on the Pareto front: those that no other one beats, where to beat is to be as good everywhere and better
/// somewhere. What has no figure, or one that is no number, is on no front. Every point has a figure for each direction.
pub fn front(points: &[Vec<Option<f64>>], directions: &[Direction]) -> Vec<bool> {
    let whole: Vec<Option<Vec<f64>>> =
        points.iter().map(|p| p.iter().map(|x| x.filter(|x| x.is_finite())).collect()).collect();
    let beats = |a: &[f64], b: &[f64]| {
        let worse = a.iter().zip(b).zip(directions).any(|((a, b), d)| d.better(*b, *a));
        let better = a.iter().zip(b).zip(directions).any(|((a, b), d)| d.better(*a, *b));
        better && !worse
    };
    let on = |own: &Vec<f64>| !whole.iter().flatten().any(|other| beats(other, own));
    whole.iter().map(|point| point.as_ref().is_some_and(on)).collect()
}

/// Mean and standard deviation of a sample; the deviation of a single one is not known.
pub fn mean_and_deviation(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (!values.is_empty()).then(|| (mean, (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Higher, Lower};

    fn quality(figures: &[(&str, Option<f64>, Direction)]) -> Quality {
        figures.iter().map(|(name, value, d)| (name.to_string(), Figure { value: *value, direction: *d })).collect()
    }

    #[test]
    fn delta_counts_each_figure_by_its_direction() {
        let base =
            quality(&[("accuracy(a)", Some(0.8), Higher), ("rmse(b)", Some(2.0), Lower), ("r2(c)", None, Higher)]);
        let own =
            quality(&[("rmse(b)", Some(1.5), Lower), ("accuracy(a)", Some(0.6), Higher), ("r2(c)", Some(1.0), Higher)]);
        // −25 % and +25 %.
        assert!(delta(&own, &base).unwrap().abs() < 1e-12);
        let own = quality(&[("rmse(b)", Some(1.0), Lower)]);
        assert_eq!(delta(&own, &base), Some(0.5));
        // A negative R² that rises is better.
        let (base, own) = (quality(&[("r2", Some(-0.5), Higher)]), quality(&[("r2", Some(-0.25), Higher)]));
        assert_eq!(delta(&own, &base), Some(0.5));
    }

    #[test]
    fn delta_of_nothing_is_nothing() {
        let zero = quality(&[("r2(a)", Some(0.0), Higher)]);
        assert_eq!(delta(&quality(&[("r2(a)", Some(0.5), Higher)]), &zero), None);
        assert_eq!(delta(&quality(&[("r2(b)", Some(0.5), Higher)]), &zero), None);
    }

    #[test]
    fn the_front_is_what_nothing_beats() {
        let points = [[0.9, 1.0], [0.8, 0.5], [0.8, 0.7], [0.7, 0.4], [0.9, 1.0], [0.6, 2.0]];
        let mut points: Vec<Vec<Option<f64>>> = points.iter().map(|p| p.iter().map(|x| Some(*x)).collect()).collect();
        points.extend([vec![None, Some(0.0)], vec![Some(f64::NAN), Some(0.0)]]);
        // Higher is better in the first, lower in the second; equal points do not beat each other.
        let expected = [true, true, false, true, true, false, false, false];
        assert_eq!(front(&points, &[Higher, Lower]), expected);
    }

    #[test]
    fn means_and_deviations() {
        assert_eq!(mean_and_deviation(&[]), None);
        assert_eq!(mean_and_deviation(&[3.0]), Some((3.0, None)));
        assert_eq!(mean_and_deviation(&[1.0, 3.0]), Some((2.0, Some(2f64.sqrt()))));
    }
}
