//! `balance`: one objective of the losses of several tasks, by a formula that knows losses and the balancer's own numbers.
//!
//! `L_i` is the loss of a task, `w_i > 0` its weight in the spec, `n_i` a number of the balancer; sums and products go over the tasks
//! that have a label in the batch, and without any the objective is 0. Only losses have a gradient: a balancer moves its numbers.
//! What each formula is, and its source, stands with the balancers.

use super::operation::{Mismatch, Operation, attribute, number, parameter, require, same};
use super::value::{T0, Tape, Value};
use super::weighted_sum::scalars;
use crate::base::{DType, Type};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Formula {
    /// `Σ n_i w_i L_i`.
    Weighted,
    /// `Σ w_i L_i / parts`.
    Mean { parts: usize },
    /// `Σ w_i ln(L_i + ε)`.
    Log { epsilon: f64 },
    /// `(Π (L_i + ε)^(w_i))^(1/Σ w_i)`.
    Geometric { epsilon: f64 },
    /// `Σ w_i (½ e^(−n_i) L_i + ½ n_i)`.
    Uncertainty,
    /// `Σ w_i (e^(n_i) L_i − n_i)`.
    ImtlL,
    /// `Σ z_i ln(w_i L_i + ε)` with `z = softmax(n)`.
    Famo { epsilon: f64 },
    /// `μ ln Σ exp(w_i (L_i − z_i) / μ)`.
    Chebyshev { mu: f64, ideal: Vec<f64> },
}

impl Formula {
    /// Whether the formula has a number `n_i` for each task.
    pub fn has_numbers(&self) -> bool {
        matches!(self, Formula::Weighted | Formula::Uncertainty | Formula::ImtlL | Formula::Famo { .. })
    }

    /// The objective, with its derivative by each loss in `slopes`. A task that is not `present` has the derivative 0.
    pub fn evaluate(
        &self,
        weights: &[f64],
        losses: &[f64],
        numbers: &[f32],
        present: &[bool],
        slopes: &mut [f64],
    ) -> f64 {
        let n = |i: usize| f64::from(numbers[i]);
        let there = || (0..weights.len()).filter(|&i| present[i]);
        slopes.fill(0.0);
        if there().next().is_none() {
            return 0.0;
        }
        match self {
            Formula::Weighted => there().map(|i| term(slopes, i, n(i) * weights[i], losses[i], 0.0)).sum(),
            Formula::Mean { parts } => {
                there().map(|i| term(slopes, i, weights[i] / *parts as f64, losses[i], 0.0)).sum()
            }
            Formula::Uncertainty => {
                let half = |i: usize| 0.5 * weights[i];
                there().map(|i| term(slopes, i, half(i) * libm::exp(-n(i)), losses[i], half(i) * n(i))).sum()
            }
            Formula::ImtlL => {
                there().map(|i| term(slopes, i, weights[i] * libm::exp(n(i)), losses[i], -weights[i] * n(i))).sum()
            }
            Formula::Log { epsilon } => {
                let one = |i: usize| {
                    slopes[i] = weights[i] / (losses[i] + epsilon);
                    weights[i] * libm::log(losses[i] + epsilon)
                };
                there().map(one).sum()
            }
            Formula::Geometric { epsilon } => {
                let all: f64 = there().map(|i| weights[i]).sum();
                let mean = libm::exp(there().map(|i| weights[i] / all * libm::log(losses[i] + epsilon)).sum());
                there().for_each(|i| slopes[i] = mean * weights[i] / all / (losses[i] + epsilon));
                mean
            }
            Formula::Famo { epsilon } => {
                let most = there().map(n).fold(f64::NEG_INFINITY, f64::max);
                let all: f64 = there().map(|i| libm::exp(n(i) - most)).sum();
                let one = |i: usize| {
                    let (z, loss) = (libm::exp(n(i) - most) / all, weights[i] * losses[i] + epsilon);
                    slopes[i] = z * weights[i] / loss;
                    z * libm::log(loss)
                };
                there().map(one).sum()
            }
            Formula::Chebyshev { mu, ideal } => {
                let above = |i: usize| weights[i] * (losses[i] - ideal[i]) / mu;
                let most = there().map(above).fold(f64::NEG_INFINITY, f64::max);
                let all: f64 = there().map(|i| libm::exp(above(i) - most)).sum();
                there().for_each(|i| slopes[i] = weights[i] * libm::exp(above(i) - most) / all);
                mu * (most + libm::log(all))
            }
        }
    }
}

/// `slope · loss + rest`, and notes the slope.
fn term(slopes: &mut [f64], i: usize, slope: f64, loss: f64, rest: f64) -> f64 {
    slopes[i] = slope;
    slope * loss + rest
}

/// Inputs: as many scalar losses as there are weights, the presence `f32[batch]` of each, and then, where the formula has them, a
/// number for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    pub formula: Formula,
    pub weights: Vec<f64>,
}

impl Operation for Balance {
    const NAME: &'static str = "balance";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let tasks = self.weights.len();
        let wanted = 2 * tasks + usize::from(self.formula.has_numbers());
        require(inputs.len() == wanted, || {
            format!("`balance` of {tasks} weights takes {wanted} inputs, and got {}", inputs.len())
        })?;
        let output = scalars(Self::NAME, &self.weights, &inputs[..tasks])?;
        for weight in &self.weights {
            attribute(Self::NAME, "weight", *weight, "above 0", *weight > 0.0)?;
        }
        for presence in &inputs[tasks..2 * tasks] {
            same(Self::NAME, "presence", presence, &Type::batched(DType::F32, &[]))?;
        }
        if let Some(numbers) = inputs.get(2 * tasks) {
            number(Self::NAME, numbers)?;
            parameter(Self::NAME, "numbers", numbers, &[tasks])?;
        }
        match &self.formula {
            Formula::Log { epsilon } | Formula::Geometric { epsilon } | Formula::Famo { epsilon } => {
                attribute(Self::NAME, "epsilon", *epsilon, "above 0", *epsilon > 0.0)?;
            }
            Formula::Chebyshev { mu, ideal } => {
                attribute(Self::NAME, "mu", *mu, "above 0", *mu > 0.0)?;
                require(ideal.len() == tasks && ideal.iter().all(|z| z.is_finite()), || {
                    format!("`balance` has {tasks} weights, and the ideal values {ideal:?}")
                })?;
            }
            Formula::Mean { parts } => require(*parts > 0, || "`balance` divides by its parts, and has none".into())?,
            Formula::Weighted | Formula::Uncertainty | Formula::ImtlL => {}
        }
        Ok(output)
    }

    fn define<T: Tape>(&self, mut inputs: Vec<Value<T>>) -> Value<T> {
        let tasks = self.weights.len();
        let rest = inputs.split_off(tasks);
        let numbers = rest.get(tasks).map(Value::to_vec).unwrap_or_default();
        let there: Vec<usize> = (0..tasks).filter(|&i| rest[i].to_vec().iter().any(|p| *p != 0.0)).collect();
        let losses = inputs.into_iter().enumerate().filter(|(i, _)| there.contains(i));
        let each = losses.map(|(i, loss)| (i, loss.r0(), self.weights[i] as f32));
        let sum = |terms: Vec<T0<T>>| terms.into_iter().reduce(|sum, term| sum + term);
        let all: f32 = there.iter().map(|&i| self.weights[i] as f32).sum();
        let total = match &self.formula {
            Formula::Weighted => sum(each.map(|(i, loss, w)| loss * (w * numbers[i])).collect()),
            Formula::Mean { parts } => sum(each.map(|(_, loss, w)| loss * (w / *parts as f32)).collect()),
            Formula::Log { epsilon } => sum(each.map(|(_, loss, w)| (loss + *epsilon as f32).ln() * w).collect()),
            Formula::Geometric { epsilon } => {
                sum(each.map(|(_, loss, w)| (loss + *epsilon as f32).ln() * (w / all)).collect()).map(|log| log.exp())
            }
            Formula::Uncertainty => {
                sum(each.map(|(i, loss, w)| loss * (0.5 * w * (-numbers[i]).exp()) + 0.5 * w * numbers[i]).collect())
            }
            Formula::ImtlL => sum(each.map(|(i, loss, w)| loss * (w * numbers[i].exp()) - w * numbers[i]).collect()),
            Formula::Famo { epsilon } => {
                let most = there.iter().map(|&i| numbers[i]).fold(f32::NEG_INFINITY, f32::max);
                let all: f32 = there.iter().map(|&i| (numbers[i] - most).exp()).sum();
                let share = |i: usize| (numbers[i] - most).exp() / all;
                sum(each.map(|(i, loss, w)| (loss * w + *epsilon as f32).ln() * share(i)).collect())
            }
            Formula::Chebyshev { mu, ideal } => {
                let (mu, above) = (*mu as f32, each.map(|(i, loss, w)| (loss - ideal[i] as f32) * (w / *mu as f32)));
                let above: Vec<T0<T>> = above.collect();
                // A constant that keeps the exponentials below 1 and changes nothing.
                let most = above.iter().map(|x| x.as_vec()[0]).fold(f32::NEG_INFINITY, f32::max);
                sum(above.into_iter().map(|x| (x - most).exp()).collect()).map(|sum| (sum.ln() + most) * mu)
            }
        };
        total.map_or_else(|| Value::zeros(&[]), Value::from)
    }

    fn differentiates(&self, input: usize) -> bool {
        input < self.weights.len()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        6 * inputs.len() as u64
    }
}
