//! Definitions on tapes: the same bits on both, results with an identity of their own, and gradients through chained
//! ops.

use super::{assert_close, bytes, single_ops};
use dfdx::prelude::{Backward, Merge, NoneTape, PutTape};
use mtlc::base::{DType, Type};
use mtlc::ops::{Op, Value, pullback::pullback, value::Recording};
use safetensors::SafeTensors;

#[test]
fn a_definition_gives_the_same_bits_on_both_tapes_and_twice() {
    let goldens = SafeTensors::deserialize(bytes()).unwrap();
    for case in single_ops() {
        let inputs = case.values(&goldens);
        let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let plain = case.op.define::<NoneTape>(inputs.clone(), &case.output, case.batch).to_vec();
        let again = case.op.define::<NoneTape>(inputs.clone(), &case.output, case.batch).to_vec();
        let traced = inputs.iter().map(Value::retaped).collect();
        let traced = case.op.define::<Recording>(traced, &case.output, case.batch).to_vec();
        assert_eq!(bits(plain.clone()), bits(traced), "{}", case.name);
        assert_eq!(bits(plain), bits(again), "{}", case.name);
    }
}

/// dfdx keeps identity and strides private, but its `Debug` tells them: `id: UniqueId(3)`, `strides: [6, 1]`.
fn told(value: &Value, field: &str) -> String {
    let text = match value {
        Value::Ids(_) => return String::new(),
        Value::R0(t) => format!("{t:?}"),
        Value::R1(t) => format!("{t:?}"),
        Value::R2(t) => format!("{t:?}"),
        Value::R3(t) => format!("{t:?}"),
        Value::R4(t) => format!("{t:?}"),
    };
    let start = text.find(field).expect("dfdx prints the field") + field.len();
    let end = text[start..].find([')', ']']).expect("it ends");
    text[start..start + end].to_string()
}

#[test]
fn results_are_contiguous_and_have_an_identity_of_their_own() {
    let goldens = SafeTensors::deserialize(bytes()).unwrap();
    for case in single_ops() {
        let inputs = case.values(&goldens);
        let value = case.op.define::<NoneTape>(inputs.clone(), &case.output, case.batch);
        let id = told(&value, "id: UniqueId(");
        assert!(inputs.iter().all(|x| told(x, "id: UniqueId(") != id), "{} returns its input", case.name);
        let dims = value.dims();
        let contiguous: Vec<usize> = (0..dims.len()).map(|i| dims[i + 1..].iter().product()).collect();
        let strides = told(&value, "strides: [");
        let strides: Vec<usize> = strides.split(", ").filter(|s| !s.is_empty()).map(|s| s.parse().unwrap()).collect();
        assert_eq!(strides, contiguous, "{}", case.name);
    }
}

/// The way an engine chains ops: one tape for the whole graph, inputs with empty tapes, a tensor used twice and summed.
#[test]
fn ops_chain_on_one_tape() {
    let op = |text: &str| serde_json::from_str::<Op>(text).unwrap();
    let image = Type::batched(DType::F32, &[2, 3]);
    let x: Value = Value::from_vec((0..12).map(|i| i as f32 * 0.1).collect(), &[2, 2, 3]);
    let mut tape = Recording::default();
    let mut run = |op: Op, inputs: &[&Value], types: &[Type]| {
        let output = op.signature(types).unwrap();
        let inputs = inputs.iter().map(|x| x.retaped::<Recording>()).collect();
        let (value, own) = op.define(inputs, &output, 2).split();
        tape = std::mem::take(&mut tape).merge(own);
        (value, output)
    };
    // y = Σ over the overlap of two slices, squared: x[:, 0:1] and x[:, 0:2] read the first row twice.
    let (p, pt) = run(op(r#"{"permute": {"order": [1, 0]}}"#), &[&x], std::slice::from_ref(&image));
    let (a, at) = run(op(r#"{"slice": {"axis": 2, "start": 0, "end": 1}}"#), &[&p], std::slice::from_ref(&pt));
    let (joined, jt) = run(op(r#"{"concat": {"axis": 2}}"#), &[&p, &a], &[pt, at]);
    let (flat, ft) = run(op(r#"{"flatten": {}}"#), &[&joined], &[jt]);
    let zeros: Value = Value::zeros(&[2, 9]);
    let presence: Value = Value::from_vec(vec![1.0; 2], &[2]);
    let (loss, _) =
        run(op(r#"{"mse": {}}"#), &[&flat, &zeros, &presence], &[ft.clone(), ft, Type::batched(DType::F32, &[])]);
    let mut gradients = loss.r0().put_tape(tape).backward();
    let x3 = x.clone().r3();
    let got = gradients.get_or_alloc_mut(&x3).unwrap().to_vec();
    let want: Vec<f32> = (0..12)
        .map(|i| {
            let uses = if i % 6 < 3 { 2.0 } else { 1.0 };
            uses * 2.0 * (i as f32 * 0.1) / 18.0
        })
        .collect();
    assert_close("chained", &got, &want, 1e-6);
}

#[test]
fn the_same_tensor_may_be_given_twice_to_the_pullback() {
    let op: Op = serde_json::from_str(r#"{"mul": {}}"#).unwrap();
    let t = Type::batched(DType::F32, &[2]);
    let x: Value = Value::from_vec(vec![1.0, -2.0, 3.0, 0.5], &[2, 2]);
    let (value, gradients) = pullback(&op, &[x.clone(), x.clone()], &t, 2, &[1.0; 4]);
    assert_eq!(value.to_vec(), [1.0, 4.0, 9.0, 0.25]);
    assert_eq!(gradients[0], Some(x.to_vec()));
    assert_eq!(gradients[0], gradients[1]);
}
