//! Kernels that share work among threads give the same bits whatever the number of threads.

use mtlc::base::{DType, Type};
use mtlc::kernels::cpu::parallel::with_threads;
use mtlc::kernels::cpu::{Backward, Gradient, Input, Shapes, find};
use mtlc::ops::{self, Op};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Ops at sizes that are worth several threads, with the types of their inputs; odd numbers, so that pieces differ.
fn cases() -> Vec<(Op, Vec<Type>, usize)> {
    let x = |dims: &[usize]| Type::batched(DType::F32, dims);
    let w = |dims: &[usize]| Type::fixed(DType::F32, dims);
    let conv = |groups, bias| ops::conv2d::Conv2d {
        stride: [1, 1],
        padding: [1; 4],
        dilation: [1, 1],
        groups,
        bias,
        epilogue: Default::default(),
        precision: Default::default(),
    };
    let int8 = ops::precision::Precision::Int8 { low: 0.0, high: 1.0 };
    let pool = ops::max_pool2d::MaxPool2d { kernel: [3, 3], stride: [2, 2], padding: [1; 4] };
    vec![
        (
            ops::linear::Linear { bias: true, ..Default::default() }.into(),
            vec![x(&[301]), w(&[257, 301]), w(&[257])],
            131,
        ),
        (
            ops::linear::Linear { bias: true, ..Default::default() }.into(),
            vec![x(&[701]), w(&[509, 701]), w(&[509])],
            1,
        ),
        (conv(1, true).into(), vec![x(&[17, 33, 31]), w(&[29, 17, 3, 3]), w(&[29])], 11),
        (conv(1, false).into(), vec![x(&[67, 7, 7]), w(&[65, 67, 3, 3])], 9),
        (conv(1, false).into(), vec![x(&[31, 41, 43]), w(&[37, 31, 3, 3])], 1),
        (
            ops::linear::Linear { bias: true, precision: int8, ..Default::default() }.into(),
            vec![x(&[301]), w(&[257, 301]), w(&[257])],
            131,
        ),
        (
            ops::conv2d::Conv2d { precision: int8, ..conv(1, true) }.into(),
            vec![x(&[17, 33, 31]), w(&[29, 17, 3, 3]), w(&[29])],
            11,
        ),
        (
            ops::conv2d::Conv2d { precision: ops::precision::Precision::Bf16, ..conv(1, false) }.into(),
            vec![x(&[67, 17, 17]), w(&[65, 67, 3, 3])],
            9,
        ),
        (conv(37, false).into(), vec![x(&[37, 33, 31]), w(&[37, 1, 3, 3])], 7),
        (pool.into(), vec![x(&[19, 45, 47])], 7),
        (ops::channel_mean::ChannelMean {}.into(), vec![x(&[19, 45, 47])], 7),
        (ops::channel_var::ChannelVar {}.into(), vec![x(&[19, 45, 47]), w(&[19])], 7),
        (
            ops::batch_norm::BatchNorm { epsilon: 1.0, own_moments: false, epilogue: Default::default() }.into(),
            vec![x(&[19, 45, 47]), w(&[19]), w(&[19]), w(&[19]), w(&[19])],
            7,
        ),
        (ops::layer_norm::LayerNorm { epsilon: 1e-5 }.into(), vec![x(&[63, 257]), w(&[257]), w(&[257])], 9),
        (ops::attention::Attention { heads: 3 }.into(), vec![x(&[77, 96]), x(&[77, 96]), x(&[77, 96])], 5),
        (ops::gelu::Gelu { approximate: false }.into(), vec![x(&[1031, 131])], 3),
        (ops::mul::Mul {}.into(), vec![x(&[1031, 131]), w(&[1031, 131])], 3),
    ]
}

/// The result and every gradient of a case, as bits, on that many threads.
fn bits(op: &Op, types: &[Type], batch: usize, threads: usize) -> Vec<Vec<u32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut numbers = |n: usize| (0..n).map(|_| rng.gen_range(0.1..1.0f32)).collect::<Vec<f32>>();
    let inputs: Vec<Vec<f32>> = types.iter().map(|t| numbers(t.elements(batch))).collect();
    let output = op.signature(types).expect("the types fit");
    let cotangent = numbers(output.elements(batch));
    let shapes = Shapes::new(types.iter().map(|t| t.at(batch)).collect(), output.at(batch));
    with_threads(threads, || {
        let kernel = find(op).expect("the op has a kernel");
        let given: Vec<Input> = inputs.iter().map(|i| Input::Numbers(i)).collect();
        let mut result = vec![0.0; cotangent.len()];
        kernel.forward(&given, &shapes, &mut result);
        let mut places: Vec<Vec<f32>> = inputs.iter().map(|i| vec![0.25; i.len()]).collect();
        let mut gradients: Vec<Option<Gradient>> =
            places.iter_mut().map(|data| Some(Gradient { data, add: true })).collect();
        let call = Backward { inputs: &given, output: &result, cotangent: &cotangent, shapes: &shapes };
        kernel.pullback(&call, &mut gradients);
        std::iter::once(result).chain(places).map(|v| v.iter().map(|x| x.to_bits()).collect()).collect()
    })
}

#[test]
fn kernels_give_the_same_bits_on_any_number_of_threads() {
    for (op, types, batch) in cases() {
        let one = bits(&op, &types, batch, 1);
        assert!(one.iter().flatten().any(|b| *b != 0), "{op:?} computes something");
        for threads in [2, 3, 8] {
            assert!(bits(&op, &types, batch, threads) == one, "{op:?} depends on the number of threads: {threads}");
        }
    }
}
