//! Losses over classes: `cross_entropy`, `focal` and `dice`. The last also compares numbers with numbers.

use super::labelled;
use crate::kernels::cpu::math::sigmoid;
use crate::kernels::cpu::parallel::{Kept, kept};
use crate::kernels::cpu::softmax::Sums;
use crate::kernels::cpu::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::dice::Dice;
use crate::ops::focal::Focal;
use smallvec::SmallVec;

/// Scores of `[outer, classes, inner]`, an index for each of `[outer, inner]`, and what the softmax over classes divides by.
struct Scores<'a> {
    sums: Sums<'a>,
    classes: usize,
    inner: usize,
    ids: &'a [i64],
    present: &'a [f32],
    ignore: Option<i64>,
}

impl<'a> Scores<'a> {
    fn new(inputs: &[Input<'a>], shapes: &Shapes, ignore: Option<i64>) -> Self {
        let (x, ids, present) = (inputs[0].numbers(), inputs[1].ids(), inputs[2].numbers());
        let (classes, inner) = match shapes.inputs[0][..] {
            [_, classes, h, w] => (classes, h * w),
            [.., classes] => (classes, 1),
            [] => unreachable!("the signature asks for a batch"),
        };
        Self { sums: Sums::new(x, classes, inner), classes, inner, ids, present, ignore }
    }

    /// The elements that count: the element, and its class.
    fn counted(&self) -> impl Iterator<Item = (usize, usize)> {
        let class = |i: usize| {
            usize::try_from(self.ids[i]).ok().filter(|&c| c < self.classes && Some(self.ids[i]) != self.ignore)
        };
        labelled(self.present, self.ids.len()).flatten().filter_map(move |i| Some((i, class(i)?)))
    }

    /// Where the score of a class stands.
    fn at(&self, element: usize, class: usize) -> usize {
        (element / self.inner * self.classes + class) * self.inner + element % self.inner
    }

    /// `−ln p` of a class.
    fn surprise(&self, element: usize, class: usize) -> f32 {
        self.sums.surprise(self.at(element, class), element)
    }

    /// A number for each element, 0 for those that do not count.
    fn factors(&self, factor: impl Fn(usize, usize) -> f32) -> Kept {
        let mut factors = kept(self.sums.sums.len());
        self.counted().for_each(|(i, class)| factors[i] = factor(i, class));
        factors
    }
}

impl CrossEntropy {
    fn weight(&self, class: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| w[class])
    }

    /// What the loss is divided by.
    fn norm(&self, scores: &Scores) -> f64 {
        scores.counted().map(|(_, class)| self.weight(class)).sum()
    }
}

/// Inputs: scores, classes, presence.
impl Kernel for CrossEntropy {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let scores = Scores::new(inputs, shapes, self.ignore);
        let mut sum = 0.0;
        for (i, class) in scores.counted() {
            let loss = |c: usize| self.weight(c) * f64::from(scores.surprise(i, c));
            sum += (1.0 - self.smoothing) * loss(class);
            if self.smoothing > 0.0 {
                sum += self.smoothing / scores.classes as f64 * (0..scores.classes).map(loss).sum::<f64>();
            }
        }
        let norm = self.norm(&scores);
        output[0] = if norm > 0.0 { (sum / norm) as f32 } else { 0.0 };
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let scores = Scores::new(call.inputs, call.shapes, self.ignore);
        let norm = self.norm(&scores);
        if norm <= 0.0 {
            if !dx.add {
                dx.data.fill(0.0);
            }
            return;
        }
        let even = |c: usize| (self.smoothing / scores.classes as f64 * self.weight(c)) as f32;
        let even_sum: f32 = (0..scores.classes).map(even).sum();
        let scale = (f64::from(call.cotangent[0]) / norm) as f32;
        let hard = |class: usize| ((1.0 - self.smoothing) * self.weight(class)) as f32;
        scores.sums.probabilities(&scores.factors(|_, class| scale * (hard(class) + even_sum)), dx);
        for (i, class) in scores.counted() {
            dx.data[scores.at(i, class)] -= scale * hard(class);
            if self.smoothing > 0.0 {
                (0..scores.classes).for_each(|c| dx.data[scores.at(i, c)] -= scale * even(c));
            }
        }
    }
}

/// Inputs: scores, classes, presence.
impl Kernel for Focal {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let scores = Scores::new(inputs, shapes, None);
        let gamma = self.gamma as f32;
        let loss = |(i, class): (usize, usize)| {
            let log = -scores.surprise(i, class);
            f64::from((-log.exp_m1()).powf(gamma) * log)
        };
        let sum: f64 = scores.counted().map(loss).sum();
        let n = scores.counted().count().max(1) as f64;
        output[0] = if sum == 0.0 { 0.0 } else { (-self.alpha.unwrap_or(1.0) * sum / n) as f32 };
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let scores = Scores::new(call.inputs, call.shapes, None);
        let gamma = self.gamma as f32;
        let scale = -self.alpha.unwrap_or(1.0) as f32 * call.cotangent[0] / scores.counted().count().max(1) as f32;
        // The slope in ln p, as the op defines it.
        let factors = scores.factors(|i, class| {
            let log = -scores.surprise(i, class);
            let rest = -log.exp_m1();
            let slope = if rest != 0.0 {
                rest.powf(gamma) - gamma * rest.powf(gamma - 1.0) * log.exp() * log
            } else if gamma == 0.0 {
                1.0
            } else {
                0.0
            };
            -scale * slope
        });
        scores.sums.probabilities(&factors, dx);
        scores.counted().for_each(|(i, class)| dx.data[scores.at(i, class)] -= factors[i]);
    }
}

/// Something of every class, without an allocation for as many as masks have.
type Few<T> = SmallVec<[T; 32]>;
type Overlaps = Few<(f64, f64, f64)>;

/// The overlap of one class: its value, and its slopes in `p` where the target is 1, and anywhere.
fn overlap(both: f64, each: f64, smooth: f64) -> (f64, f64, f64) {
    let (above, below) = (2.0 * both + smooth, each + smooth);
    (above / below, 2.0 / below, -above / (below * below))
}

impl Dice {
    /// Overlaps by class, and the probabilities that they are of.
    fn by_class(&self, scores: &Scores) -> (Overlaps, Kept) {
        let (classes, inner) = (scores.classes, scores.inner);
        let mut p = kept(scores.sums.sums.len() * classes);
        scores.sums.probabilities(&scores.factors(|_, _| 1.0), &mut Gradient { data: &mut p, add: false });
        let (mut both, mut each) = (Few::from_elem(0.0f64, classes), Few::from_elem(0.0f64, classes));
        for (row, p) in p.chunks_exact(inner).enumerate() {
            each[row % classes] += p.iter().map(|p| f64::from(*p)).sum::<f64>();
        }
        for (i, class) in scores.counted() {
            both[class] += f64::from(p[scores.at(i, class)]);
            each[class] += 1.0;
        }
        (both.into_iter().zip(each).map(|(b, e)| overlap(b, e, self.smooth)).collect(), p)
    }

    /// The one overlap of numbers.
    fn of_numbers(&self, inputs: &[Input]) -> Option<(f64, f64, f64)> {
        let [x, y, present] = [0, 1, 2].map(|i| inputs[i].numbers());
        let (mut both, mut each, mut some) = (0.0, 0.0, false);
        for i in labelled(present, x.len()).flatten().filter(|i| !y[*i].is_nan()) {
            let (p, t) = (f64::from(sigmoid(x[i])), f64::from(y[i]));
            (both, each, some) = (both + p * t, each + p + t, true);
        }
        some.then(|| overlap(both, each, self.smooth))
    }
}

/// Inputs: scores, classes or numbers, presence.
impl Kernel for Dice {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let mean = if let Input::Ids(_) = inputs[1] {
            let scores = Scores::new(inputs, shapes, None);
            let overlaps = self.by_class(&scores).0;
            let mean = overlaps.iter().map(|o| o.0).sum::<f64>() / scores.classes as f64;
            scores.counted().next().is_some().then_some(mean)
        } else {
            self.of_numbers(inputs).map(|o| o.0)
        };
        output[0] = mean.map_or(0.0, |mean| (1.0 - mean) as f32);
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let dy = f64::from(call.cotangent[0]);
        if !dx.add {
            dx.data.fill(0.0);
        }
        if let Input::Ids(_) = call.inputs[1] {
            let scores = Scores::new(call.inputs, call.shapes, None);
            let (overlaps, p) = self.by_class(&scores);
            let share = -dy / scores.classes as f64;
            let slopes: Few<[f32; 2]> =
                overlaps.iter().map(|o| [(share * o.2) as f32, (share * (o.1 + o.2)) as f32]).collect();
            for (i, class) in scores.counted() {
                let slope = |c: usize| slopes[c][usize::from(c == class)];
                let mean: f32 = (0..scores.classes).map(|c| slope(c) * p[scores.at(i, c)]).sum();
                for c in 0..scores.classes {
                    let at = scores.at(i, c);
                    dx.data[at] += p[at] * (slope(c) - mean);
                }
            }
        } else if let Some((_, right, any)) = self.of_numbers(call.inputs) {
            let [x, y, present] = [0, 1, 2].map(|i| call.inputs[i].numbers());
            for i in labelled(present, x.len()).flatten().filter(|i| !y[*i].is_nan()) {
                let p = sigmoid(x[i]);
                dx.data[i] -= (dy * (right * f64::from(y[i]) + any)) as f32 * p * (1.0 - p);
            }
        }
    }
}
