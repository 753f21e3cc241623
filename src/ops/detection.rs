//! `detection`: the loss of boxes, with cells assigned to them as [`assignment`](super::assignment) says.
//!
//! The prediction is of `[cells, classes + 7]`, as the op `detect` gives it; the target of `[boxes, 5]`: class, x0, y0, x1, y1, with the
//! class −1 where there is no box. Over all rows that are present `L = c · L_class + b · L_box + q · L_quality`:
//!
//! - `L_class = Σ bce(logit, t) / max(Σ t, 1)` over every cell and class, `t` being the soft target of an assigned cell for its class
//!   and 0 elsewhere, so that images without boxes teach what is none;
//! - `L_box = Σ w · (1 − CIoU) / Σ w` over the assigned cells. `CIoU = IoU − ρ²/d² − α v` (Zheng et al. 2019, arXiv 1911.08287): `ρ` the
//!   distance of the centres, `d` the diagonal around both boxes, `v = 4/π² (atan(w'/h') − atan(w/h))²` of the true and the predicted
//!   sides, `α = v / (1 − IoU + v)`, a constant; `10⁻⁷` keeps divisors above 0, as in torchvision;
//! - `L_quality = Σ w · bce(logit, IoU) / Σ w` over the assigned cells.
//!
//! Assignment, soft targets, weights, IoU as a target and `α` are constants: no gradient flows to them. Without boxes the last two are 0.

use super::assignment::{Alignment, Positive, Scene, assign, iou};
use super::detect::{BEHIND, softplus};
use super::operation::{Mismatch, Operation, arity, attribute, batched, require, same, sizes};
use super::presence::nothing;
use super::sigmoid::logistic;
use super::sound::{pick, unary};
use super::value::{T0, T1, Tape, Value, take};
use crate::base::{DType, Type};
use dfdx::prelude::{Cpu, SumTo, TensorFromVec};
use serde::{Deserialize, Serialize};

/// Keeps divisors above 0.
pub const EPSILON: f64 = 1e-7;

/// `4/π²`.
pub const ASPECT: f64 = 4.0 / (std::f64::consts::PI * std::f64::consts::PI);

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    pub class_weight: f64,
    pub box_weight: f64,
    pub quality_weight: f64,
    /// The most cells of a box.
    pub candidates: usize,
    pub alpha: f64,
    pub beta: f64,
}

/// What a batch is compared by: constants.
pub struct Comparison {
    /// The cells of the rows that are present.
    pub cells: Vec<usize>,
    pub positives: Vec<Positive>,
    /// `max(Σ t, 1)`.
    pub targets: f64,
    /// `Σ w`, or 1 where there is no box.
    pub weights: f64,
}

impl Detection {
    /// Assigns the cells of the rows that are present.
    pub fn compare(&self, scene: &Scene, present: &[f32]) -> Comparison {
        let rows = || present.iter().enumerate().filter(|(_, p)| **p != 0.0).map(|(row, _)| row);
        let alignment = Alignment { candidates: self.candidates, alpha: self.alpha, beta: self.beta };
        let positives = assign(scene, rows(), &alignment);
        let targets = positives.iter().map(|p| p.target).sum::<f64>().max(1.0);
        let weights = if positives.is_empty() { 1.0 } else { positives.iter().map(|p| p.weight).sum() };
        let cells = rows().flat_map(|row| row * scene.cells..(row + 1) * scene.cells).collect();
        Comparison { cells, positives, targets, weights }
    }
}

impl Operation for Detection {
    const NAME: &'static str = "detection";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [prediction, target, presence] = arity(Self::NAME, inputs)?;
        for (what, weight) in [("class", self.class_weight), ("box", self.box_weight), ("quality", self.quality_weight)]
        {
            attribute(Self::NAME, &format!("weight of {what}"), weight, "at least 0", weight >= 0.0)?;
        }
        attribute(Self::NAME, "alpha", self.alpha, "at least 0", self.alpha >= 0.0)?;
        attribute(Self::NAME, "beta", self.beta, "at least 0", self.beta >= 0.0)?;
        sizes(Self::NAME, "number of candidates", &[self.candidates], 1)?;
        let [_, width] = batched(Self::NAME, "the cells of `detect`, f32[cells, classes + 7]", &prediction)?;
        require(width > BEHIND, || {
            format!(
                "`detection` takes the cells of `detect`, f32[cells, classes + 7], and got {}",
                prediction.example()
            )
        })?;
        let [_, numbers] = batched(Self::NAME, "boxes, f32[boxes, 5]", &target)?;
        require(numbers == 5, || format!("`detection` compares with f32[boxes, 5], and got {}", target.example()))?;
        same(Self::NAME, "presence", &presence, &Type::batched(DType::F32, &[]))?;
        Ok(Type::scalar())
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [prediction, target, presence] = take(inputs);
        let (dims, boxes) = (prediction.dims(), target.dims()[1]);
        let (numbers, target) = (prediction.to_vec(), target.to_vec());
        let scene = Scene { prediction: &numbers, target: &target, cells: dims[1], classes: dims[2] - BEHIND, boxes };
        let compared = self.compare(&scene, &presence.to_vec());
        if compared.cells.is_empty() {
            return nothing();
        }
        let (width, classes) = (scene.width(), scene.classes);
        let flat = prediction.flat();
        let constant = |data: Vec<f32>| {
            let n = data.len();
            Cpu::default().tensor_from_vec(data, (n,))
        };

        let logits: Vec<usize> = compared.cells.iter().flat_map(|c| (0..classes).map(move |k| c * width + k)).collect();
        let mut soft = vec![0.0; numbers.len()];
        compared.positives.iter().for_each(|p| soft[p.cell * width + p.class] = p.target as f32);
        let soft = constant(logits.iter().map(|i| soft[*i]).collect());
        let class: T0<T> = bce(pick(flat.retaped::<T>(), logits), soft).sum();
        let class = class * (self.class_weight / compared.targets) as f32;
        let positives = &compared.positives;
        if positives.is_empty() {
            return class.into();
        }

        let column = |c: usize| positives.iter().map(|p| p.cell * width + classes + c).collect::<Vec<usize>>();
        let given = |f: &dyn Fn(&Positive) -> f64| constant(positives.iter().map(|p| f(p) as f32).collect());
        let weights = given(&|p| p.weight / compared.weights);
        let quality = bce(pick(flat.retaped::<T>(), column(0)), given(&|p| p.iou)) * weights.clone();
        let quality: T0<T> = quality.sum();
        let corner = |k: usize| pick(flat.retaped::<T>(), column(1 + k));
        let truth = |k: usize| given(&|p| f64::from(p.truth[k]));
        let far = one_minus_ciou(corner, truth, given(&|p| trade_off(scene.corners(p.cell), p.truth))) * weights;
        let far: T0<T> = far.sum();
        (class + far * self.box_weight as f32 + quality * self.quality_weight as f32).into()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        8 * inputs[0].elements(1) as u64
    }
}

/// The binary cross-entropy of logits with probabilities, `softplus(x) − t x`.
fn bce<T: Tape>(x: T1<T>, t: T1) -> T1<T> {
    unary(x.retaped::<T>(), softplus, logistic) - x * t
}

/// `1 − CIoU` of the predicted corners x0, y0, x1, y1 with the true ones.
fn one_minus_ciou<T: Tape>(corner: impl Fn(usize) -> T1<T>, truth: impl Fn(usize) -> T1, alpha: T1) -> T1<T> {
    let epsilon = EPSILON as f32;
    // `max(x, c) = c + relu(x − c)`, and `min(x, c) = c − relu(c − x)`.
    let largest = |x: T1<T>, c: T1| relu(x - c.clone()) + c;
    let least = |x: T1<T>, c: T1| relu(x * -1.0 + c.clone()) * -1.0 + c;
    let side = |k: usize| corner(k + 2) - corner(k);
    let true_side = |k: usize| truth(k + 2) - truth(k);
    let meet = |k: usize| relu(least(corner(k + 2), truth(k + 2)) - largest(corner(k), truth(k)));
    let both = || meet(0) * meet(1);
    let union = side(0) * side(1) + true_side(0) * true_side(1) - both() + epsilon;
    let around = |k: usize| (largest(corner(k + 2), truth(k + 2)) - least(corner(k), truth(k))).square();
    let apart = |k: usize| ((corner(k) + corner(k + 2) - truth(k) - truth(k + 2)) * 0.5).square();
    let centres = (apart(0) + apart(1)) / (around(0) + around(1) + epsilon);
    let slope = |x: f32| 1.0 / (1.0 + x * x);
    let true_angle = unary(true_side(0) / true_side(1), f32::atan, slope);
    let angles = unary(side(0) / side(1), f32::atan, slope) - true_angle;
    let aspect = angles.square() * ASPECT as f32 * alpha;
    (both() / union) * -1.0 + 1.0 + centres + aspect
}

fn relu<T: Tape>(x: T1<T>) -> T1<T> {
    // A NaN is not below 0, and stays.
    unary(x, |x| if x < 0.0 { 0.0 } else { x }, |x| if x > 0.0 { 1.0 } else { 0.0 })
}

/// `v` of two boxes, which is 0 where their sides have one proportion, and the angle behind it.
pub fn aspect(a: [f32; 4], b: [f32; 4]) -> (f64, f64) {
    let angle = |b: [f32; 4]| libm::atan((f64::from(b[2]) - f64::from(b[0])) / (f64::from(b[3]) - f64::from(b[1])));
    let apart = angle(a) - angle(b);
    (ASPECT * apart * apart, apart)
}

/// The constant `α` of CIoU.
pub fn trade_off(predicted: [f32; 4], truth: [f32; 4]) -> f64 {
    let (v, _) = aspect(predicted, truth);
    v / (1.0 - iou(predicted, truth) + v + EPSILON)
}
