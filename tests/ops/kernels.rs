//! CPU kernels against the goldens: values, gradients, gradients that add to what is there, and nothing read that the kernel
//! said it would not read.

use super::{TOLERANCE, assert_close, bytes, floats, single_ops};
use mtlc::base::DType;
use mtlc::kernels::cpu::{Backward, Gradient, Input, Shapes, find};
use mtlc::ops::{Op, Value};
use safetensors::SafeTensors;
use std::collections::BTreeSet;

#[test]
fn kernels_agree_with_pytorch() {
    let goldens = SafeTensors::deserialize(bytes()).unwrap();
    let mut checked = BTreeSet::new();
    for case in single_ops() {
        let Some(kernel) = find(&case.op) else { continue };
        checked.insert(case.op.name());
        let values = case.values(&goldens);
        let numbers: Vec<Vec<f32>> =
            values.iter().map(|v| if matches!(v, Value::Ids(_)) { vec![] } else { v.to_vec() }).collect();
        let input = |i: usize| match &values[i] {
            Value::Ids(ids) => Input::Ids(&ids.data),
            _ => Input::Numbers(&numbers[i]),
        };
        let inputs: Vec<Input> = (0..values.len()).map(input).collect();
        let shapes = Shapes {
            inputs: case.inputs.iter().map(|i| i.r#type.at(case.batch)).collect(),
            output: case.output.at(case.batch),
        };
        let mut output = vec![f32::NAN; case.output.elements(case.batch)];
        kernel.forward(&inputs, &shapes, &mut output);
        let want = floats(&goldens, &format!("{}/output", case.name)).unwrap();
        assert_close(&format!("{} value", case.name), &output, &want, TOLERANCE);

        let read = |i: usize| match inputs[i] {
            Input::Numbers(_) if !kernel.reads(i) => Input::Numbers(&[]),
            input => input,
        };
        let read: Vec<Input> = (0..values.len()).map(read).collect();
        let cotangent = floats(&goldens, &format!("{}/cotangent", case.name)).unwrap();
        let wanted: Vec<Option<Vec<f32>>> = case
            .inputs
            .iter()
            .map(|i| {
                floats(&goldens, &format!("{}/{}.grad", case.name, i.name)).filter(|_| i.r#type.dtype == DType::F32)
            })
            .collect();
        for add in [false, true] {
            let before = if add { 0.5 } else { f32::NAN };
            let mut places: Vec<Option<Vec<f32>>> =
                wanted.iter().map(|w| w.as_ref().map(|w| vec![before; w.len()])).collect();
            let mut gradients: Vec<Option<Gradient>> =
                places.iter_mut().map(|p| p.as_mut().map(|data| Gradient { data, add })).collect();
            let call = Backward {
                inputs: &read,
                output: if kernel.reads_output() { &output } else { &[] },
                cotangent: &cotangent,
                shapes: &shapes,
            };
            kernel.pullback(&call, &mut gradients);
            for ((input, place), want) in case.inputs.iter().zip(&places).zip(&wanted) {
                let (Some(got), Some(want)) = (place, want) else { continue };
                let want: Vec<f32> = want.iter().map(|w| if add { w + 0.5 } else { *w }).collect();
                assert_close(&format!("{}/{}.grad, add: {add}", case.name, input.name), got, &want, 2.0 * TOLERANCE);
            }
        }
    }
    let without: Vec<&str> = Op::NAMES.iter().copied().filter(|name| !checked.contains(name)).collect();
    assert_eq!(without, Vec::<&str>::new(), "these ops have no kernel");
}
