//! Linear algebra of a few tasks, in 64 bits and in one fixed order.

use super::Gram;

/// Eigenvalues of a symmetric matrix, and for each its unit eigenvector, by Jacobi's rotations.
pub fn eigen(gram: &Gram) -> Vec<(f64, Vec<f64>)> {
    let n = gram.size();
    let mut a: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| gram.at(i, j)).collect()).collect();
    let mut v: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..64 {
        let mut turned = false;
        for p in 0..n {
            for q in p + 1..n {
                // Small against both ends of the diagonal, so that small eigenvalues keep their digits.
                if a[p][q] == 0.0 || a[p][q].abs() <= 1e-18 * (a[p][p].abs() * a[q][q].abs()).sqrt() {
                    continue;
                }
                turned = true;
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (above, below) = a.split_at_mut(q);
                for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
                for row in &mut v {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
            }
        }
        if !turned {
            break;
        }
    }
    (0..n).map(|k| (a[k][k], v.iter().map(|row| row[k]).collect())).collect()
}

/// The eigenvalues that are not rounding alone, with their vectors.
pub fn range(gram: &Gram) -> Vec<(f64, Vec<f64>)> {
    let mut found = eigen(gram);
    let most = found.iter().map(|(value, _)| *value).fold(0.0, f64::max);
    found.retain(|(value, _)| *value > most * gram.size() as f64 * f64::EPSILON);
    found
}

/// `f(Λ)` between the eigenvectors of the range, times `x`.
pub fn between(range: &[(f64, Vec<f64>)], f: impl Fn(f64) -> f64, x: &[f64]) -> Vec<f64> {
    let mut result = vec![0.0; x.len()];
    for (value, vector) in range {
        let along: f64 = vector.iter().zip(x).map(|(v, x)| v * x).sum();
        result.iter_mut().zip(vector).for_each(|(r, v)| *r += f(*value) * along * v);
    }
    result
}

/// `A x = b` by Gauss's elimination with pivots, for rows of `A` with `b` behind; `None` where `A` is singular.
pub fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|&i, &j| rows[i][column].abs().total_cmp(&rows[j][column].abs()))?;
        if rows[pivot][column] == 0.0 || !rows[pivot][column].is_finite() {
            return None;
        }
        rows.swap(column, pivot);
        let (done, below) = rows.split_at_mut(column + 1);
        for row in below {
            let times = row[column] / done[column][column];
            row.iter_mut().zip(&done[column]).skip(column).for_each(|(x, p)| *x -= times * p);
        }
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| rows[i][j] * x[j]).sum();
        x[i] = (rows[i][n] - known) / rows[i][i];
    }
    Some(x)
}
