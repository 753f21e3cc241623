//! CPU kernels against the goldens: values, gradients, gradients that add to what is there, and nothing read that the kernel
//! said it would not read.

use super::{Case, TOLERANCE, assert_close, bytes, floats, prepared, single_ops};
use mtlc::base::{DType, Type};
use mtlc::kernels::cpu::{Backward, Gradient, Input, Kernel, Shapes, find};
use mtlc::ops::{Maps, Op, Value};
use safetensors::SafeTensors;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn kernels_agree_with_pytorch() {
    let goldens = SafeTensors::deserialize(bytes()).unwrap();
    let (mut checked, mut wrong) = (BTreeSet::new(), BTreeSet::new());
    for case in single_ops() {
        let Some(kernel) = find(&case.op) else { continue };
        checked.insert(case.op.name());
        // Golden numbers are row-major; a kernel that takes maps with their channels last gets and gives them so.
        let orders: &[bool] = match (&case.op, case.op.maps(&case.types())) {
            (Op::Relayout(_), _) | (_, Maps::RowMajor) => &[false],
            (_, Maps::Any) => &[false, true],
            (_, Maps::ChannelsLast) if case.inputs.iter().any(|i| is_map(&i.r#type)) => &[true],
            (_, Maps::ChannelsLast) => &[false],
        };
        for (&channels_last, trains) in orders.iter().flat_map(|order| [(order, false), (order, true)]) {
            let run = AssertUnwindSafe(|| check(&goldens, &case, kernel, channels_last, trains));
            if catch_unwind(run).is_err() {
                wrong.insert(case.name.clone());
            }
        }
    }
    assert_eq!(wrong, BTreeSet::new(), "these goldens are missed; each says above where");
    let without: Vec<&str> = Op::NAMES.iter().copied().filter(|name| !checked.contains(name)).collect();
    assert_eq!(without, Vec::<&str>::new(), "these ops have no kernel");
}

fn is_map(ty: &Type) -> bool {
    ty.dtype == DType::F32 && ty.is_batched() && ty.rank() == 4
}

/// The order of a relayout's own two sides, or that of all maps.
fn order(case: &Case, ty: &Type, result: bool, channels_last: bool) -> bool {
    match &case.op {
        Op::Relayout(op) => op.channels_last == result,
        _ => channels_last && is_map(ty),
    }
}

/// Row-major numbers as a kernel takes them, and back when `back` holds.
fn stored(x: &[f32], ty: &Type, batch: usize, channels_last: bool, back: bool) -> Vec<f32> {
    if !channels_last {
        return x.to_vec();
    }
    let [n, c, h, w] = ty.at(batch).try_into().expect("a map");
    let mut y = vec![0.0; x.len()];
    for (i, p) in (0..n * c).flat_map(|i| (0..h * w).map(move |p| (i, p))) {
        let (planar, last) = (i * h * w + p, (i / c * h * w + p) * c + i % c);
        let (from, to) = if back { (last, planar) } else { (planar, last) };
        y[to] = x[from];
    }
    y
}

fn check(goldens: &SafeTensors, case: &Case, kernel: &dyn Kernel, channels_last: bool, trains: bool) {
    let name = format!("{}, channels last: {channels_last}, trains: {trains}", case.name);
    let values = case.values(goldens);
    let numbers: Vec<Vec<f32>> = values
        .iter()
        .zip(&case.inputs)
        .map(|(v, i)| match v {
            Value::Ids(_) => vec![],
            v => stored(&v.to_vec(), &i.r#type, case.batch, order(case, &i.r#type, false, channels_last), false),
        })
        .collect();
    let input = |i: usize| match &values[i] {
        Value::Ids(ids) => Input::Ids(&ids.data),
        _ => Input::Numbers(&numbers[i]),
    };
    let inputs: Vec<Input> = (0..values.len()).map(input).collect();
    let shapes = Shapes {
        channels_last: channels_last || matches!(case.op, Op::Relayout(_)),
        trains,
        ..Shapes::new(case.inputs.iter().map(|i| i.r#type.at(case.batch)).collect(), case.output.at(case.batch))
    };
    let result_order = order(case, &case.output, true, channels_last);
    let planar = |y: &[f32]| stored(y, &case.output, case.batch, result_order, true);
    let mut output = vec![f32::NAN; case.output.elements(case.batch)];
    kernel.forward(&inputs, &shapes, &mut output);
    let want = floats(goldens, &format!("{}/output", case.name)).unwrap();
    assert_close(&format!("{name} value"), &planar(&output), &want, TOLERANCE);

    let prepared: Vec<Option<Vec<f32>>> =
        (0..inputs.len()).map(|i| prepared(kernel, i, &numbers[i], &shapes)).collect();
    if prepared.iter().any(Option::is_some) {
        let input = |i: usize| prepared[i].as_ref().map_or(inputs[i], |p| Input::Prepared(p));
        let inputs: Vec<Input> = (0..inputs.len()).map(input).collect();
        let mut again = vec![f32::NAN; output.len()];
        kernel.forward(&inputs, &shapes, &mut again);
        assert_eq!(output, again, "{name}: prepared weights give other bits");
    }

    let read = |i: usize| match inputs[i] {
        Input::Numbers(_) if !kernel.reads(i) => Input::Numbers(&[]),
        input => input,
    };
    let read: Vec<Input> = (0..values.len()).map(read).collect();
    let cotangent = floats(goldens, &format!("{}/cotangent", case.name)).unwrap();
    let cotangent = stored(&cotangent, &case.output, case.batch, result_order, false);
    let wanted: Vec<Option<Vec<f32>>> = case
        .inputs
        .iter()
        .enumerate()
        .map(|(n, i)| {
            floats(goldens, &format!("{}/{}.grad", case.name, i.name))
                .filter(|_| i.r#type.dtype == DType::F32 && case.op.differentiates(n))
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
            let got = stored(got, &input.r#type, case.batch, order(case, &input.r#type, false, channels_last), true);
            assert_close(&format!("{name}/{}.grad, add: {add}", input.name), &got, &want, 2.0 * TOLERANCE);
        }
    }
}
