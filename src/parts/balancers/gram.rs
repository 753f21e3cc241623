//! The products of the tasks' gradients with one another.

/// `G = J Jᵀ` for the gradients in the rows of `J`, in 64 bits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gram {
    size: usize,
    values: Vec<f64>,
    /// The squares of the norms over the last layer that the tasks share.
    pub last: Vec<f64>,
}

impl Gram {
    /// `values` row by row; with `last` for the last shared layer.
    pub fn new(values: Vec<f64>, last: Vec<f64>) -> Self {
        let size = last.len();
        assert_eq!(values.len(), size * size, "bug: a Gram matrix is square");
        Self { size, values, last }
    }

    pub fn size(&self) -> usize {
        self.size
    }

    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.size + j]
    }

    pub fn norm(&self, i: usize) -> f64 {
        self.at(i, i).max(0.0).sqrt()
    }

    /// `G x`.
    pub fn times(&self, x: &[f64]) -> Vec<f64> {
        (0..self.size).map(|i| (0..self.size).map(|j| self.at(i, j) * x[j]).sum()).collect()
    }

    /// `xᵀ G x`, the square of the norm of `Jᵀ x`.
    pub fn square(&self, x: &[f64]) -> f64 {
        self.times(x).iter().zip(x).map(|(a, b)| a * b).sum::<f64>().max(0.0)
    }

    pub fn trace(&self) -> f64 {
        (0..self.size).map(|i| self.at(i, i)).sum()
    }

    /// With row and column `i` multiplied by `by[i]`.
    pub fn scaled(&self, by: &[f64]) -> Gram {
        let value = |n: usize| self.values[n] * by[n / self.size] * by[n % self.size];
        let last = self.last.iter().zip(by).map(|(square, by)| square * by * by).collect();
        Gram { size: self.size, values: (0..self.values.len()).map(value).collect(), last }
    }

    /// Of unit gradients, and the inverse of each norm; a gradient of zeros stays one, with the inverse 0.
    pub fn unit(&self) -> (Gram, Vec<f64>) {
        let inverse = |i: usize| if self.norm(i) > 0.0 { 1.0 / self.norm(i) } else { 0.0 };
        let by: Vec<f64> = (0..self.size).map(inverse).collect();
        (self.scaled(&by), by)
    }

    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|x| x.is_finite())
    }
}
