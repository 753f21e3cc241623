//! Every op against PyTorch and against itself: values, gradients, finite differences, empty batches, NaN, missing
//! labels.
//!
//! The cases stand in `goldens/`, see `goldens/README.md`. Two numbers agree when `|a − b| ≤ 10⁻⁵ · max(1, |b|)`.

mod chains;
mod convolution;
mod depthwise;
mod detection;
mod faults;
mod kernels;
mod maps;
mod precision;
mod products;
mod rows;
mod signatures;
mod tapes;
mod threads;
mod winograd;

use dfdx::prelude::NoneTape;
use mtlc::base::{DType, Type};
use mtlc::kernels::cpu::{Kernel, Shapes};
use mtlc::ops::epilogue::Activation;
use mtlc::ops::{Op, Value, pullback::pullback};
use safetensors::SafeTensors;
use serde::Deserialize;
use std::collections::BTreeSet;

const TOLERANCE: f32 = 1e-5;

/// Every activation that an epilogue may have, both kinds of `leaky_relu`, and none.
const ACTIVATIONS: &[Option<Activation>] = &[
    None,
    Some(Activation::Relu),
    Some(Activation::Relu6),
    Some(Activation::LeakyRelu(0.1)),
    Some(Activation::LeakyRelu(-0.1)),
    Some(Activation::Hardsigmoid),
    Some(Activation::Hardswish),
    Some(Activation::Silu),
    Some(Activation::Gelu),
    Some(Activation::Sigmoid),
    Some(Activation::Tanh),
];

/// What a kernel prepares of an input; nothing where it reads the input as it is.
fn prepared(kernel: &dyn Kernel, i: usize, numbers: &[f32], shapes: &Shapes) -> Option<Vec<f32>> {
    let mut into = vec![0.0; kernel.prepared_len(i, shapes)?];
    kernel.prepare(i, numbers, shapes, &mut into);
    Some(into)
}

#[derive(Deserialize)]
struct Case {
    name: String,
    op: Op,
    batch: usize,
    smooth: bool,
    inputs: Vec<Input>,
    output: Type,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    #[serde(flatten)]
    r#type: Type,
}

fn bytes() -> &'static [u8] {
    include_bytes!("goldens/ops.safetensors")
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("goldens/ops.json")).expect("the goldens are well-formed")
}

fn floats(goldens: &SafeTensors, name: &str) -> Option<Vec<f32>> {
    let tensor = goldens.tensor(name).ok()?;
    assert_eq!(tensor.dtype(), ::safetensors::Dtype::F32, "{name}");
    Some(tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect())
}

impl Case {
    /// A composition of three ops rather than one.
    fn is_train_norm(&self) -> bool {
        self.name.starts_with("batch_norm_train")
    }

    fn types(&self) -> Vec<Type> {
        self.inputs.iter().map(|input| input.r#type.clone()).collect()
    }

    fn values(&self, goldens: &SafeTensors) -> Vec<Value> {
        let value = |input: &Input| {
            let (name, dims) = (format!("{}/{}", self.name, input.name), input.r#type.at(self.batch));
            match input.r#type.dtype {
                DType::F32 => Value::from_vec(floats(goldens, &name).expect("inputs are stored"), &dims),
                DType::I64 => {
                    let tensor = goldens.tensor(&name).unwrap();
                    let ids = tensor.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
                    Value::from_ids(ids.collect(), &dims)
                }
            }
        };
        self.inputs.iter().map(value).collect()
    }
}

/// Fails unless the numbers agree, and says where they do not.
fn assert_close(what: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (&a, &b)) in got.iter().zip(want).enumerate() {
        let near = (a - b).abs() <= tolerance * b.abs().max(1.0);
        assert!(near, "{what}: element {i} is {a}, and should be {b}");
    }
}

fn single_ops() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|case| !case.is_train_norm())
}

#[test]
fn every_op_has_a_case() {
    let covered: BTreeSet<&str> = single_ops().map(|case| case.op.name()).collect();
    let all: BTreeSet<&str> = Op::NAMES.iter().copied().collect();
    assert_eq!(covered, all);
    assert_eq!(all.len(), Op::NAMES.len(), "two ops share a name");
}

#[test]
fn values_and_gradients_agree_with_pytorch() {
    let goldens = SafeTensors::deserialize(bytes()).unwrap();
    let mut wrong = vec![];
    for case in single_ops() {
        let check = || {
            assert_eq!(case.op.signature(&case.types()).as_ref(), Ok(&case.output), "{}", case.name);
            let cotangent = floats(&goldens, &format!("{}/cotangent", case.name)).unwrap();
            let inputs = case.values(&goldens);
            let (value, gradients) = pullback(&case.op, &inputs, &case.output, case.batch, &cotangent);
            assert_eq!(value.dims(), case.output.at(case.batch), "{}", case.name);
            let want = floats(&goldens, &format!("{}/output", case.name)).unwrap();
            assert_close(&format!("{} value", case.name), &value.to_vec(), &want, TOLERANCE);
            assert_eq!(gradients.len(), inputs.len());
            for (input, gradient) in case.inputs.iter().zip(&gradients) {
                let name = format!("{}/{}.grad", case.name, input.name);
                match (gradient, floats(&goldens, &name)) {
                    (Some(got), Some(want)) => assert_close(&name, got, &want, TOLERANCE),
                    (Some(got), None) => assert!(got.iter().all(|g| *g == 0.0), "{name}: data has a gradient: {got:?}"),
                    (None, want) => assert!(want.is_none() && input.r#type.dtype == DType::I64, "{name}"),
                }
            }
        };
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err() {
            wrong.push(case.name.clone());
        }
    }
    assert!(wrong.is_empty(), "these disagree: {wrong:#?}");
}

#[test]
fn batch_norm_of_batch_statistics_is_pytorch_s_training_mode() {
    let goldens = SafeTensors::deserialize(bytes()).unwrap();
    let mut checked = 0;
    for case in cases().into_iter().filter(Case::is_train_norm) {
        let [x, gamma, beta] = case.values(&goldens).try_into().unwrap();
        let (t, batch) = (case.inputs[0].r#type.clone(), case.batch);
        let stats = Type::fixed(DType::F32, &[t.inner()[0]]);
        let mean_op: Op = mtlc::ops::channel_mean::ChannelMean {}.into();
        let var_op: Op = mtlc::ops::channel_var::ChannelVar {}.into();
        let mean = mean_op.define::<NoneTape>(vec![x.clone()], &stats, batch);
        let var = var_op.define::<NoneTape>(vec![x.clone(), mean.clone()], &stats, batch);
        let cotangent = floats(&goldens, &format!("{}/cotangent", case.name)).unwrap();
        // The chain rule by hand, from the last op to the first.
        let inputs = [x.clone(), mean.clone(), var.clone(), gamma, beta];
        let (value, last) = pullback(&case.op, &inputs, &t, batch, &cotangent);
        let last: Vec<Vec<f32>> = last.into_iter().map(Option::unwrap).collect();
        let (_, by_var) = pullback(&var_op, &[x.clone(), mean], &stats, batch, &last[2]);
        let by_var: Vec<Vec<f32>> = by_var.into_iter().map(Option::unwrap).collect();
        let of_mean: Vec<f32> = last[1].iter().zip(&by_var[1]).map(|(a, b)| a + b).collect();
        let (_, by_mean) = pullback(&mean_op, &[x], &stats, batch, &of_mean);
        let by_mean = by_mean.into_iter().next().unwrap().unwrap();
        let of_x: Vec<f32> = (0..by_mean.len()).map(|i| last[0][i] + by_var[0][i] + by_mean[i]).collect();
        let golden = |key: &str| floats(&goldens, &format!("{}/{key}", case.name)).unwrap();
        assert_close(&case.name, &value.to_vec(), &golden("output"), TOLERANCE);
        assert_close(&format!("{} x", case.name), &of_x, &golden("x.grad"), TOLERANCE);
        assert_close(&format!("{} gamma", case.name), &last[3], &golden("gamma.grad"), TOLERANCE);
        assert_close(&format!("{} beta", case.name), &last[4], &golden("beta.grad"), TOLERANCE);
        checked += 1;
    }
    assert_eq!(checked, 3);
}

/// `Σ cotangent · op(inputs)` in f64, so that differences of it keep their digits.
fn scalar(case: &Case, inputs: &[Value], cotangent: &[f32]) -> f64 {
    let value = case.op.define::<NoneTape>(inputs.to_vec(), &case.output, case.batch);
    value.to_vec().iter().zip(cotangent).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// A central difference with step `h` errs by rounding, about `10⁻⁷ · size / h`, and by curvature, about `h²`; with
/// `h = 10⁻²` both stay below the tolerance of `2·10⁻³` relative to the sizes at hand. It knows nothing of PyTorch or
/// of dfdx.
#[test]
fn gradients_of_smooth_ops_agree_with_finite_differences() {
    use rand::{Rng, SeedableRng};
    const STEP: f32 = 1e-2;
    let goldens = SafeTensors::deserialize(bytes()).unwrap();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut checked = 0;
    for case in single_ops().filter(|case| case.smooth) {
        let cotangent = floats(&goldens, &format!("{}/cotangent", case.name)).unwrap();
        let inputs = case.values(&goldens);
        let (_, gradients) = pullback(&case.op, &inputs, &case.output, case.batch, &cotangent);
        for (i, input) in case.inputs.iter().enumerate() {
            if goldens.tensor(&format!("{}/{}.grad", case.name, input.name)).is_err() {
                continue;
            }
            let (numbers, dims) = (inputs[i].to_vec(), inputs[i].dims());
            let gradient = gradients[i].as_ref().unwrap();
            for _ in 0..3 {
                let at = random.gen_range(0..numbers.len());
                // Variances and depths stay positive, and curvature grows where they are small.
                let step = STEP * numbers[at].abs().clamp(0.1, 1.0);
                let [low, high] = [-step, step].map(|h| {
                    let mut moved = numbers.clone();
                    moved[at] += h;
                    let mut inputs = inputs.clone();
                    inputs[i] = Value::from_vec(moved, &dims);
                    scalar(&case, &inputs, &cotangent)
                });
                let difference = (high - low) / (2.0 * f64::from(step));
                let error = (difference - f64::from(gradient[at])).abs();
                let scale = 1.0 + difference.abs() + scalar(&case, &inputs, &cotangent).abs();
                assert!(
                    error <= 2e-3 * scale,
                    "{}: the gradient of `{}` at {at} is {}, the difference {difference}",
                    case.name,
                    input.name,
                    gradient[at]
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 500, "{checked}");
}

#[test]
fn an_empty_batch_gives_an_empty_value_and_a_loss_of_zero() {
    for case in single_ops() {
        let empty = |t: &Type| match t.dtype {
            DType::F32 => Value::<NoneTape>::from_vec(vec![0.5; t.elements(0)], &t.at(0)),
            DType::I64 => Value::from_ids(vec![0; t.elements(0)], &t.at(0)),
        };
        let inputs: Vec<Value> = case.types().iter().map(empty).collect();
        if !case.types().iter().any(Type::is_batched) {
            continue;
        }
        let cotangent = vec![1.0; case.output.elements(0)];
        let (value, gradients) = pullback(&case.op, &inputs, &case.output, 0, &cotangent);
        assert_eq!(value.dims(), case.output.at(0), "{}", case.name);
        assert!(value.to_vec().iter().all(|v| *v == 0.0), "{}", case.name);
        for (gradient, t) in gradients.iter().zip(case.types()) {
            let zeros = gradient.as_ref().is_none_or(|g| g.len() == t.elements(0) && g.iter().all(|g| *g == 0.0));
            assert!(zeros, "{}", case.name);
        }
    }
}

#[test]
fn a_nan_stays_visible_through_every_activation_pool_and_norm() {
    let x = [0.5, f32::NAN, -1.0, 2.0];
    for op in ["relu", "relu6", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh"] {
        let op: Op = serde_json::from_str(&format!("{{\"{op}\": {{}}}}")).unwrap();
        nan_passes(op, &x);
    }
    for op in [
        r#"{"leaky_relu": {"slope": 0.1}}"#,
        r#"{"gelu": {"approximate": true}}"#,
        r#"{"gelu": {"approximate": false}}"#,
        r#"{"softmax": {"axis": 1}}"#,
    ] {
        nan_passes(serde_json::from_str(op).unwrap(), &x);
    }
    let pool: Op =
        serde_json::from_str(r#"{"max_pool2d": {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0, 0, 0]}}"#)
            .unwrap();
    let t = Type::batched(DType::F32, &[1, 2, 2]);
    let output = pool.signature(std::slice::from_ref(&t)).unwrap();
    let y = pool.define::<NoneTape>(vec![Value::from_vec(x.to_vec(), &t.at(1))], &output, 1);
    assert!(y.to_vec()[0].is_nan());
}

fn nan_passes(op: Op, x: &[f32]) {
    let t = Type::batched(DType::F32, &[x.len()]);
    let y = op.define::<NoneTape>(vec![Value::from_vec(x.to_vec(), &t.at(1))], &t, 1).to_vec();
    assert!(y[1].is_nan(), "{}", op.name());
}

#[test]
fn attributes_survive_a_plan_file() {
    for case in cases() {
        let text = serde_yaml::to_string(&case.op).unwrap();
        assert_eq!(serde_yaml::from_str::<Op>(&text).unwrap(), case.op, "{text}");
    }
}

/// Rows without a label have no effect, whatever stands in them; without any label a loss is 0 and has no gradient.
#[test]
fn losses_do_not_see_absent_rows() {
    let goldens = SafeTensors::deserialize(bytes()).unwrap();
    let mut checked = BTreeSet::new();
    for case in single_ops().filter(|case| case.inputs.iter().any(|input| input.name == "presence")) {
        let inputs = case.values(&goldens);
        for keep in [Some(0), None] {
            let presence: Vec<f32> = (0..case.batch).map(|row| if Some(row) == keep { 1.0 } else { 0.0 }).collect();
            let fill = |with: f32| {
                let mut inputs = inputs.clone();
                inputs[2] = Value::from_vec(presence.clone(), &[case.batch]);
                for input in inputs[..2].iter_mut().filter(|input| !matches!(input, Value::Ids(_))) {
                    let (mut numbers, dims) = (input.to_vec(), input.dims());
                    let row = numbers.len() / case.batch;
                    for (i, x) in numbers.iter_mut().enumerate() {
                        match presence[i / row] == 0.0 {
                            true => *x = if i % 2 == 0 { with } else { 1.0 },
                            false if x.is_nan() => *x = 0.5,
                            false => {}
                        }
                    }
                    *input = Value::from_vec(numbers, &dims);
                }
                let (value, gradients) = pullback(&case.op, &inputs, &case.output, case.batch, &[1.0]);
                (value.to_vec()[0], gradients[0].clone().unwrap())
            };
            let (calm, wild) = (fill(0.25), fill(f32::NAN));
            assert_eq!(calm.0.to_bits(), wild.0.to_bits(), "{}", case.name);
            assert_eq!(calm.1, wild.1, "{}", case.name);
            let row = calm.1.len() / case.batch;
            let absent = calm.1.iter().enumerate().filter(|(i, _)| presence[i / row] == 0.0);
            assert!(absent.into_iter().all(|(_, g)| *g == 0.0), "{}", case.name);
            assert!(keep.is_some() || calm.0 == 0.0, "{}", case.name);
            checked.insert(case.op.name());
        }
    }
    assert_eq!(checked.len(), 14, "{checked:?}");
}

/// The cost of an op is counted for one example, and a multiplication with an addition counts twice.
#[test]
fn costs_are_counted() {
    let goldens: Vec<Case> = single_ops().collect();
    let flops = |name: &str| {
        let case = goldens.iter().find(|case| case.name == name).unwrap();
        case.op.flops(&case.types(), &case.output)
    };
    assert_eq!(flops("linear"), 3 * (2 * 5 + 1));
    assert_eq!(flops("conv2d"), 4 * 6 * 5 * (2 * 27 + 1));
    assert_eq!(flops("conv2d_depthwise"), 4 * 6 * 5 * 2 * 9);
    assert_eq!(flops("conv_transpose2d"), 3 * 3 * 4 * 2 * (2 * 2 * 2) + 2 * 6 * 8);
    assert_eq!(flops("attention"), 3 * 4 * 2 * 2 * 3 + 5 * 2 * 3 * 3);
    assert_eq!(flops("flatten_image"), 0);
}
