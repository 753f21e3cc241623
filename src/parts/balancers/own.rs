//! What a balancer remembers from one step to the next, and how it moves a number of its own down a gradient.

use indexmap::IndexMap;

/// Arrays by name. They belong to the state of a run and to its checkpoint, so they are all that a balancer may remember.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own(pub IndexMap<String, Vec<f32>>);

impl Own {
    /// The array of that name; the first time it has `len` numbers, all `first`.
    pub fn get(&mut self, name: &str, len: usize, first: f32) -> &mut Vec<f32> {
        if self.0.get(name).is_none_or(|array| array.len() != len) {
            self.0.insert(name.into(), vec![first; len]);
        }
        &mut self.0[name]
    }

    /// Adam (Kingma and Ba 2015, arXiv 1412.6980; β 0.9 and 0.999, ε 1e-8) on the numbers that `gradient` has a derivative for. Each
    /// counts its own steps, so that a number that was left out for a while goes on as it was.
    pub fn adam(&mut self, rate: f64, numbers: &mut [f32], gradient: impl Fn(usize) -> Option<f64>) {
        let tasks = numbers.len();
        let (moments, steps) = self.get("adam", 3 * tasks, 0.0).split_at_mut(2 * tasks);
        let (first, second) = moments.split_at_mut(tasks);
        for i in 0..tasks {
            let Some(g) = gradient(i) else { continue };
            steps[i] += 1.0;
            first[i] = (0.9 * f64::from(first[i]) + 0.1 * g) as f32;
            second[i] = (0.999 * f64::from(second[i]) + 0.001 * g * g) as f32;
            let mean = f64::from(first[i]) / (1.0 - libm::pow(0.9, f64::from(steps[i])));
            let square = f64::from(second[i]) / (1.0 - libm::pow(0.999, f64::from(steps[i])));
            numbers[i] -= (rate * mean / (square.sqrt() + 1e-8)) as f32;
        }
    }
}
