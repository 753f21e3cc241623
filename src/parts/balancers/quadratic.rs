//! Small convex problems that balancers solve exactly: quadratic ones by active sets, and Newton's method for a barrier.

use super::Gram;
use super::linear_algebra::solve;

/// A share of each diagonal element that keeps parallel gradients from making a system singular.
const RIDGE: f64 = 1e-12;

/// The `x ≥ 0` that minimises `½ xᵀ Q x + aᵀ x`, with `Σ x = 1` where `simplex` says so. `Q` is positive semidefinite.
pub fn minimise(q: &Gram, a: &[f64], simplex: bool) -> Vec<f64> {
    let n = q.size();
    let mut x = vec![0.0; n];
    let mut free: Vec<usize> = vec![];
    if simplex {
        let value = |i: usize| 0.5 * q.at(i, i) + a[i];
        let first = (0..n).min_by(|&i, &j| value(i).total_cmp(&value(j))).unwrap_or(0);
        x[first] = 1.0;
        free.push(first);
    }
    for _ in 0..50 * n + 50 {
        let Some((wanted, multiplier)) = stationary(q, a, &free, simplex) else { break };
        let beyond = |k: usize| wanted[k] <= 0.0;
        if (0..free.len()).any(beyond) {
            // As far towards the wanted point as nothing falls below 0; what meets 0 is held there.
            let far = |k: usize| x[free[k]] / (x[free[k]] - wanted[k]);
            let step = (0..free.len()).filter(|&k| beyond(k)).map(far).fold(1.0, f64::min);
            let at = (0..free.len()).filter(|&k| beyond(k)).min_by(|&k, &l| far(k).total_cmp(&far(l)));
            for (k, &i) in free.iter().enumerate() {
                x[i] = (x[i] + step * (wanted[k] - x[i])).max(0.0);
            }
            if let Some(k) = at {
                x[free[k]] = 0.0;
                free.remove(k);
            }
            continue;
        }
        free.iter().zip(&wanted).for_each(|(&i, w)| x[i] = *w);
        // What would fall below its bound without it must not; what would rise is set free.
        let slope = |j: usize| {
            let terms = (0..n).map(|k| q.at(j, k) * x[k]).chain([a[j], multiplier]);
            let (sum, size) = terms.fold((0.0, 0.0), |(sum, size): (f64, f64), t| (sum + t, size + t.abs()));
            if size > 0.0 { sum / size } else { 0.0 }
        };
        let held = (0..n).filter(|j| !free.contains(j));
        match held.map(|j| (j, slope(j))).min_by(|(_, s), (_, t)| s.total_cmp(t)) {
            Some((j, slope)) if slope < -1e-13 => free.push(j),
            _ => break,
        }
    }
    x
}

/// Where the derivative by the free numbers is 0, the others being 0, and the multiplier of the sum.
fn stationary(q: &Gram, a: &[f64], free: &[usize], simplex: bool) -> Option<(Vec<f64>, f64)> {
    if free.is_empty() {
        return Some((vec![], 0.0));
    }
    let least = 1e-30 * q.trace();
    let row = |&i: &usize| {
        let value = |&j: &usize| if i == j { q.at(i, i) * (1.0 + RIDGE) + least } else { q.at(i, j) };
        free.iter().map(value).chain(simplex.then_some(1.0)).chain([-a[i]]).collect()
    };
    let mut rows: Vec<Vec<f64>> = free.iter().map(row).collect();
    if simplex {
        rows.push(free.iter().map(|_| 1.0).chain([0.0, 1.0]).collect());
    }
    let mut x = solve(rows)?;
    let multiplier = if simplex { x.pop().unwrap_or(0.0) } else { 0.0 };
    Some((x, multiplier))
}

/// The `w > 0` with `G w = w^(−1/α)`: the minimum of `½ wᵀ G w − Σ ∫ w^(−1/α)`, by damped Newton steps. A gradient of zeros has no
/// such weight, and gets 0. Where gradients cancel, so that no finite weight solves it, weights grow until rounding stops them.
pub fn fair(g: &Gram, alpha: f64) -> Vec<f64> {
    let there: Vec<usize> = (0..g.size()).filter(|&i| g.at(i, i) > 0.0).collect();
    // In units in which each task alone would have the weight 1.
    let unit: Vec<f64> = there.iter().map(|&i| libm::pow(g.at(i, i), -alpha / (1.0 + alpha))).collect();
    let b: Vec<f64> = unit.iter().map(|u| libm::pow(*u, 1.0 - 1.0 / alpha)).collect();
    let n = there.len();
    let at = |i: usize, j: usize| {
        let ridge = if i == j { 1.0 + RIDGE } else { 1.0 };
        g.at(there[i], there[j]) * unit[i] * unit[j] * ridge
    };
    let along = |w: &[f64], i: usize| (0..n).map(|j| at(i, j) * w[j]).sum::<f64>();
    let slope = |w: f64| libm::pow(w, -1.0 / alpha);
    let integral = |w: f64| {
        if alpha == 1.0 { libm::log(w) } else { libm::pow(w, 1.0 - 1.0 / alpha) / (1.0 - 1.0 / alpha) }
    };
    let value = |w: &[f64]| (0..n).map(|i| 0.5 * w[i] * along(w, i) - b[i] * integral(w[i])).sum::<f64>();
    let mut w = vec![1.0; n];
    for _ in 0..200 {
        let gradient: Vec<f64> = (0..n).map(|i| along(&w, i) - b[i] * slope(w[i])).collect();
        if (0..n).all(|i| gradient[i].abs() <= 1e-13 * b[i] * slope(w[i])) {
            break;
        }
        let row = |i: usize| {
            let curve = |j: usize| if i == j { b[i] * slope(w[i]) / (alpha * w[i]) } else { 0.0 };
            (0..n).map(|j| at(i, j) + curve(j)).chain([-gradient[i]]).collect()
        };
        let Some(step) = solve((0..n).map(row).collect()) else { break };
        let down: f64 = gradient.iter().zip(&step).map(|(g, s)| g * s).sum();
        let bound = (0..n).filter(|&i| step[i] < 0.0).map(|i| -0.9 * w[i] / step[i]).fold(1.0, f64::min);
        let (before, mut far) = (value(&w), bound);
        let moved = |far: f64| w.iter().zip(&step).map(|(w, s)| w + far * s).collect::<Vec<f64>>();
        // Close to the minimum the value has no digits left to fall by, and the whole step is right.
        while far > 1e-12 && value(&moved(far)) > before + 1e-4 * far * down + 1e-14 * before.abs() {
            far *= 0.5;
        }
        w = moved(far);
    }
    let mut weights = vec![0.0; g.size()];
    (0..n).for_each(|i| weights[there[i]] = w[i] * unit[i]);
    weights
}

/// The nearest point of the simplex.
pub fn simplex(x: &[f64]) -> Vec<f64> {
    let mut sorted = x.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (k, value) in sorted.iter().enumerate() {
        sum += value;
        let now = (sum - 1.0) / (k + 1) as f64;
        if value - now > 0.0 {
            shift = now;
        }
    }
    x.iter().map(|x| (x - shift).max(0.0)).collect()
}
