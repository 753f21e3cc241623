//! `dice`: one minus the overlap of prediction and target, in proportions.
//!
//! `L = 1 − mean_c (2 Σ p t + s) / (Σ p + Σ t + s)` with the smoothing `s`, summed over all elements of the batch that
//! count. With a target of classes, `p` is the softmax of the prediction, `t` is 1 for the right class, and the mean is
//! over classes; shapes and what counts are those of `cross_entropy`. With a target of numbers of the prediction's own
//! type, `p` is the sigmoid of the prediction and there is one overlap. See [`presence`](super::presence). Milletari,
//! Navab and Ahmadi 2016.

use super::operation::{Mismatch, Operation, attribute};
use super::presence::{classification, classified, given, nothing, regression};
use super::sigmoid::logistic;
use super::sound::{softmax, unary};
use super::value::{T0, T1, T2, Tape, Value};
use crate::base::{DType, Type};
use dfdx::prelude::{Axis, Cpu, HasShape, MeanTo, SumTo, TensorFromVec};
use serde::{Deserialize, Serialize};

/// Inputs: prediction, target, presence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dice {
    pub smooth: f64,
}

impl Operation for Dice {
    const NAME: &'static str = "dice";

    fn signature(&self, inputs: &[Type]) -> Result<Type, Mismatch> {
        attribute(Self::NAME, "smooth", self.smooth, "above 0", self.smooth > 0.0)?;
        match inputs.get(1).map(|target| target.dtype) {
            Some(DType::I64) => Ok(classification(Self::NAME, inputs)?.1),
            _ => regression(Self::NAME, inputs),
        }
    }

    fn define<T: Tape>(&self, inputs: Vec<Value<T>>) -> Value<T> {
        let (p, t): (T2<T>, T2) = if let Value::Ids(_) = inputs[1] {
            let Some((scores, ids)) = classified(inputs, None) else { return nothing() };
            let &(elements, classes) = scores.shape();
            let mut right = vec![0.0; elements * classes];
            ids.iter().enumerate().for_each(|(element, id)| right[element * classes + id] = 1.0);
            (softmax::<Axis<1>, _, _>(scores), Cpu::default().tensor_from_vec(right, (elements, classes)))
        } else {
            let Some((x, y)) = given(inputs) else { return nothing() };
            let (elements, p) = (x.shape().0 * x.shape().1, unary(x, logistic, |x| logistic(x) * (1.0 - logistic(x))));
            (column(Value::R2(p), elements), column(Value::R2(y), elements))
        };
        let smooth = self.smooth as f32;
        let both: T1<T> = (p.retaped::<T>() * t.clone()).sum::<_, Axis<0>>() * 2.0 + smooth;
        let each: T1<T> = p.sum::<_, Axis<0>>() + t.sum::<_, Axis<0>>() + smooth;
        let overlap: T0<T> = (both / each).mean();
        (overlap * -1.0 + 1.0).into()
    }

    fn flops(&self, inputs: &[Type], _output: &Type) -> u64 {
        8 * inputs[0].elements(1) as u64
    }
}

/// All elements as rows of one class.
fn column<T: Tape>(x: Value<T>, elements: usize) -> T2<T> {
    Value::shaped(x.flat(), &[elements, 1]).r2()
}
