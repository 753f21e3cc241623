//! The value of one op and its vector–Jacobian product, by the op's definition on dfdx's tape.
//!
//! In come inputs and the gradient of some scalar with respect to the op's result; out go the result and the gradient
//! of that scalar with respect to each input. An engine without a kernel for an op computes it so; tests ask it what is
//! right.

use super::Op;
use super::value::{Recording, T0, Value};
use crate::base::Type;
use dfdx::prelude::{Backward, Cpu, Gradients, PutTape, Shape, Tensor, TensorFromVec};

/// The result, and the gradient for each input in row-major order: `None` for indices, zeros where none flows.
///
/// `output` is the type that the op's signature gave, and `cotangent` has its elements at this batch size.
pub fn pullback(
    op: &Op,
    inputs: &[Value],
    output: &Type,
    batch: usize,
    cotangent: &[f32],
) -> (Value, Vec<Option<Vec<f32>>>) {
    assert_eq!(cotangent.len(), output.elements(batch), "bug: a cotangent has the shape of its value");
    // An op may be given one tensor twice, and dfdx tells tensors apart by their identity alone.
    let inputs: Vec<Value> = inputs.iter().map(|x| if is_ids(x) { x.clone() } else { x.constant() }).collect();
    let (value, mut tape) = op.define::<Recording>(inputs.iter().map(Value::retaped).collect(), output, batch).split();
    seed(&value, &mut tape, cotangent.to_vec());
    let root: T0 = Cpu::default().tensor_from_vec(vec![0.0], ());
    let mut gradients = root.put_tape(tape).backward();
    let gradients = inputs.iter().map(|x| gradient(x, &mut gradients)).collect();
    (value, gradients)
}

fn is_ids(value: &Value) -> bool {
    matches!(value, Value::Ids(_))
}

/// Makes the backward pass begin with `cotangent` as the gradient of `value`.
fn seed(value: &Value, tape: &mut Recording, cotangent: Vec<f32>) {
    fn write<S: Shape>(t: &Tensor<S, f32, Cpu>, tape: &mut Recording, cotangent: Vec<f32>) {
        let ghost = t.ghost();
        dfdx::prelude::Tape::add_backward_op(tape, move |gradients| {
            gradients.get_or_alloc_mut(&ghost)?.copy_from_slice(&cotangent);
            Ok(())
        });
    }
    match value {
        Value::R0(t) => write(t, tape, cotangent),
        Value::R1(t) => write(t, tape, cotangent),
        Value::R2(t) => write(t, tape, cotangent),
        Value::R3(t) => write(t, tape, cotangent),
        Value::R4(t) => write(t, tape, cotangent),
        Value::Ids(_) => {}
    }
}

/// Takes the gradient of an input out of the finished backward pass: zeros where none came, `None` for indices.
pub fn gradient(value: &Value, gradients: &mut Gradients<f32, Cpu>) -> Option<Vec<f32>> {
    fn read<S: Shape>(t: &Tensor<S, f32, Cpu>, gradients: &mut Gradients<f32, Cpu>) -> Vec<f32> {
        let gradient = gradients.get_or_alloc_mut(t).expect("memory for a gradient");
        std::mem::take(&mut **gradient)
    }
    match value {
        Value::R0(t) => Some(read(t, gradients)),
        Value::R1(t) => Some(read(t, gradients)),
        Value::R2(t) => Some(read(t, gradients)),
        Value::R3(t) => Some(read(t, gradients)),
        Value::R4(t) => Some(read(t, gradients)),
        Value::Ids(_) => None,
    }
}
