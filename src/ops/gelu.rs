//! `gelu`: `x` times the probability that a standard normal number is below `x`.
//!
//! `y = x · (1 + erf(x / √2)) / 2`; with `approximate`, `y = x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2`. Hendrycks
//! and Gimpel 2016; both agree with `torch.nn.functional.gelu`.

use super::operation::{Maps, Mismatch, Operation, elementwise_maps, numbers};
use super::sound::unary;
use super::value::{Tape, Value, take};
use crate::base::Type;
use crate::each_rank;
use serde::{Deserialize, Serialize};

/// Inputs: `x` of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gelu {
    pub approximate: bool,
}

impl Operation for Gelu {
    const NAME: &'static str = "gelu";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        let [x] = numbers(Self::NAME, inputs)?;
        Ok(x)
    }

    fn maps(&self, inputs: &[Type]) -> Maps {
        elementwise_maps(inputs)
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let [x] = take(inputs);
        match self.approximate {
            false => each_rank!(x, |t| unary(t, exact, exact_slope)),
            true => each_rank!(x, |t| unary(t, approximate, approximate_slope)),
        }
    }

    fn flops(&self, _inputs: &[Type], output: &Type) -> u64 {
        10 * output.elements(1) as u64
    }
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

fn exact(x: f32) -> f32 {
    x * normal_cdf(x)
}

fn exact_slope(x: f32) -> f32 {
    let density = 0.398_942_3 * (-0.5 * x * x).exp();
    normal_cdf(x) + x * density
}

fn normal_cdf(x: f32) -> f32 {
    // `erfc` keeps its digits where `1 + erf` would cancel.
    0.5 * libm::erfcf(-x * std::f32::consts::FRAC_1_SQRT_2)
}

fn approximate(x: f32) -> f32 {
    0.5 * x * (1.0 + (SQRT_2_OVER_PI * (x + CUBIC * x * x * x)).tanh())
}

fn approximate_slope(x: f32) -> f32 {
    let t = (SQRT_2_OVER_PI * (x + CUBIC * x * x * x)).tanh();
    0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x)
}
