//! Products in low precision: kernels against definitions, whatever the sizes, and weights prepared or not.

use super::maps::{numbers, stored};
use super::prepared;
use dfdx::prelude::NoneTape;
use mtlc::base::{DType, Type};
use mtlc::kernels::cpu::{Input, Shapes, find};
use mtlc::ops::conv2d::Conv2d;
use mtlc::ops::epilogue::{Activation, Epilogue};
use mtlc::ops::linear::Linear;
use mtlc::ops::precision::Precision;
use mtlc::ops::{Op, Value};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The range leaves some of the numbers out.
const PRECISIONS: [Precision; 4] = [
    Precision::Bf16,
    Precision::Int8 { low: -0.7, high: 1.5 },
    Precision::Int8 { low: 0.5, high: 2.5 },
    Precision::Int8 { low: -1.0, high: -0.5 },
];

fn epilogues() -> [Epilogue; 3] {
    let with = |residual, activation| Epilogue { residual, activation };
    [with(false, None), with(true, Some(Activation::Relu)), with(false, Some(Activation::Gelu))]
}

/// Computes the op by its kernel, with its weights as they are and prepared, and compares with its definition.
fn check(op: &Op, types: &[Type], batch: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let output = op.signature(types).unwrap_or_else(|wrong| panic!("{}", wrong.message));
    let dims: Vec<Vec<usize>> = types.iter().map(|t| t.at(batch)).collect();
    let given: Vec<Vec<f32>> = dims.iter().map(|dims| numbers(&mut rng, dims.iter().product())).collect();
    let values = given.iter().zip(&dims).map(|(data, dims)| Value::<NoneTape>::from_vec(data.clone(), dims)).collect();
    let want = op.define(values, &output, batch).to_vec();
    let last = |data: &[f32], ty: &Type| stored(data, ty, batch, true, false);
    let inputs: Vec<Vec<f32>> = given.iter().zip(types).map(|(data, ty)| last(data, ty)).collect();
    let channels_last = output.rank() == 4;
    let shapes = Shapes { channels_last, ..Shapes::new(dims.clone(), output.at(batch)) };
    let kernel = find(op).expect("a kernel");
    let plain: Vec<Input> = inputs.iter().map(|data| Input::Numbers(data)).collect();
    let mut y = vec![f32::NAN; output.elements(batch)];
    kernel.forward(&plain, &shapes, &mut y);
    let prepared = prepared(kernel, 1, &inputs[1], &shapes).expect("packed weights");
    let mut with = plain.clone();
    with[1] = Input::Prepared(&prepared);
    let mut again = vec![f32::NAN; y.len()];
    kernel.forward(&with, &shapes, &mut again);
    assert_eq!(y, again, "{op:?}: prepared weights give other bits");
    let want = last(&want, &output);
    let most = want.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    for (i, (a, b)) in y.iter().zip(&want).enumerate() {
        assert!((a - b).abs() <= 2e-6 * most, "{op:?} on {dims:?}: element {i} is {a}, and should be {b}");
    }
}

#[test]
fn linear_layers_are_as_defined() {
    for (rows, tokens, width, out) in [(1, 0, 1, 1), (3, 0, 5, 33), (2, 7, 6, 32), (17, 0, 131, 70), (1, 0, 64, 10)] {
        let x: &[usize] = if tokens > 0 { &[tokens, width] } else { &[width] };
        let y: &[usize] = if tokens > 0 { &[tokens, out] } else { &[out] };
        for (precision, epilogue) in PRECISIONS.into_iter().flat_map(|p| epilogues().map(|e| (p, e))) {
            let op = Linear { bias: true, epilogue, precision };
            let mut types = vec![Type::batched(DType::F32, x), fixed(&[out, width]), fixed(&[out])];
            types.extend(epilogue.residual.then(|| Type::batched(DType::F32, y)));
            check(&op.into(), &types, rows);
        }
    }
}

fn fixed(dims: &[usize]) -> Type {
    Type::fixed(DType::F32, dims)
}

#[test]
fn convolutions_are_as_defined() {
    // Image, filters, kernel, stride, padding, dilation.
    type Case = ([usize; 3], usize, [usize; 2], [usize; 2], [usize; 4], [usize; 2]);
    let cases: [Case; 8] = [
        ([1, 1, 1], 1, [1, 1], [1, 1], [0; 4], [1, 1]),
        ([3, 7, 9], 33, [3, 3], [1, 1], [1; 4], [1, 1]),
        ([3, 11, 10], 8, [7, 5], [2, 2], [3, 2, 1, 4], [1, 1]),
        ([6, 8, 5], 40, [1, 1], [1, 1], [0; 4], [1, 1]),
        ([5, 8, 7], 12, [1, 1], [2, 3], [0; 4], [1, 1]),
        ([4, 9, 9], 31, [3, 3], [1, 1], [2; 4], [2, 2]),
        ([3, 9, 12], 16, [2, 3], [1, 2], [0, 1, 3, 0], [3, 2]),
        ([32, 6, 6], 32, [3, 3], [1, 1], [1; 4], [1, 1]),
    ];
    for (image, out, kernel, stride, padding, dilation) in cases {
        for (precision, epilogue) in PRECISIONS.into_iter().flat_map(|p| epilogues().map(|e| (p, e))) {
            let op = Conv2d { stride, padding, dilation, groups: 1, bias: true, epilogue, precision };
            let weight = fixed(&[out, image[0], kernel[0], kernel[1]]);
            let mut types = vec![Type::batched(DType::F32, &image), weight, fixed(&[out])];
            if epilogue.residual {
                let plain = Op::from(Conv2d { epilogue: Epilogue::default(), ..op.clone() });
                types.push(plain.signature(&types).expect("a convolution"));
            }
            check(&op.into(), &types, 2);
        }
    }
}

#[test]
fn signatures_say_what_low_precision_cannot_do() {
    let told = |op: Op, types: &[Type]| op.signature(types).expect_err("wrong").message;
    let linear = |precision| Op::from(Linear { precision, ..Linear::default() });
    let types = |width: usize| [Type::batched(DType::F32, &[width]), fixed(&[2, width])];
    let int8 = |low, high| Precision::Int8 { low, high };
    let text = [
        told(linear(int8(1.0, -1.0)), &types(3)),
        told(linear(int8(0.0, f32::INFINITY)), &types(3)),
        told(linear(int8(0.0, 1.0)), &types(70_000)),
        told(
            Conv2d {
                stride: [1; 2],
                padding: [0; 4],
                dilation: [1; 2],
                groups: 2,
                bias: false,
                epilogue: Epilogue::default(),
                precision: Precision::Bf16,
            }
            .into(),
            &[Type::batched(DType::F32, &[4, 3, 3]), fixed(&[4, 2, 1, 1])],
        ),
    ];
    insta::assert_snapshot!(text.join("\n"), @r"
    the range of the input of `linear` is from 1 to -1
    the range of the input of `linear` is from 0 to inf
    `linear` sums 70000 products, and in int8 at most 66311 fit 32 bits
    `conv2d` in 2 groups is in f32 only
    ");
}
