//! Convolutions of maps with their channels last against the definition: many windows, sizes around those of tiles and panels,
//! every epilogue, gradients that are written and added; and the same bits on any number of threads.

use super::{ACTIVATIONS, prepared};
use mtlc::base::{DType, Type};
use mtlc::kernels::cpu::parallel::with_threads;
use mtlc::kernels::cpu::{Backward, Gradient, Input, Shapes, find};
use mtlc::ops::conv_transpose2d::ConvTranspose2d;
use mtlc::ops::conv2d::Conv2d;
use mtlc::ops::epilogue::{Activation, Epilogue};
use mtlc::ops::pullback::pullback;
use mtlc::ops::{Op, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Largest error of a sum, in parts of the largest number of the right result.
pub const DIRECT: f32 = 1e-5;

/// The same where Winograd may compute it by tiles of four by four outputs; tiles of two by two are as good as direct sums.
pub const MINIMAL: f32 = 1e-4;

pub struct Case {
    pub op: Op,
    pub types: Vec<Type>,
    pub batch: usize,
    pub trains: bool,
    /// The largest tile of Winograd in training.
    pub winograd: usize,
}

fn map(dims: &[usize]) -> Type {
    Type::batched(DType::F32, dims)
}

fn fixed(dims: &[usize]) -> Type {
    Type::fixed(DType::F32, dims)
}

pub fn conv(stride: [usize; 2], padding: [usize; 4], dilation: [usize; 2], groups: usize) -> Conv2d {
    Conv2d {
        stride,
        padding,
        dilation,
        groups,
        bias: false,
        epilogue: Epilogue::default(),
        precision: Default::default(),
    }
}

/// `[batch, channels, pixels]` to `[batch, pixels, channels]`, or back.
fn turned(x: &[f32], [n, c, h, w]: [usize; 4], back: bool) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    for (i, p) in (0..n * c).flat_map(|i| (0..h * w).map(move |p| (i, p))) {
        let (planar, last) = (i * h * w + p, (i / c * h * w + p) * c + i % c);
        let (from, to) = if back { (last, planar) } else { (planar, last) };
        y[to] = x[from];
    }
    y
}

fn stored(x: &[f32], t: &Type, batch: usize, back: bool) -> Vec<f32> {
    match <[usize; 4]>::try_from(t.at(batch)) {
        Ok(sizes) if t.is_batched() => turned(x, sizes, back),
        _ => x.to_vec(),
    }
}

/// Result, result with prepared weights, and gradients, all in row-major order. Gradients begin with `before` and are added to
/// when that is a number.
pub fn by_kernel(case: &Case, inputs: &[Vec<f32>], cotangent: &[f32], before: Option<f32>) -> [Vec<Vec<f32>>; 2] {
    let (output, kernel) = (case.op.signature(&case.types).expect("the types fit"), find(&case.op).expect("a kernel"));
    let shapes = Shapes {
        channels_last: true,
        trains: case.trains,
        winograd: if case.trains { case.winograd } else { 4 },
        ..Shapes::new(case.types.iter().map(|t| t.at(case.batch)).collect(), output.at(case.batch))
    };
    let numbers: Vec<Vec<f32>> = inputs.iter().zip(&case.types).map(|(x, t)| stored(x, t, case.batch, false)).collect();
    let given: Vec<Input> = numbers.iter().map(|x| Input::Numbers(x)).collect();
    let mut y = vec![f32::NAN; cotangent.len()];
    kernel.forward(&given, &shapes, &mut y);
    let prepared = prepared(kernel, 1, &numbers[1], &shapes).expect("weights are prepared");
    let mut with = given.clone();
    with[1] = Input::Prepared(&prepared);
    let mut again = vec![f32::NAN; y.len()];
    kernel.forward(&with, &shapes, &mut again);
    assert_eq!(y, again, "{:?}: prepared weights give other bits", case.op);

    let mut places: Vec<Vec<f32>> = numbers.iter().map(|x| vec![before.unwrap_or(f32::NAN); x.len()]).collect();
    let mut gradients: Vec<Option<Gradient>> =
        places.iter_mut().map(|data| Some(Gradient { data, add: before.is_some() })).collect();
    let read: Vec<Input> =
        (0..given.len()).map(|i| if kernel.reads(i) { given[i] } else { Input::Numbers(&[]) }).collect();
    let dy = stored(cotangent, &output, case.batch, false);
    let result = if kernel.reads_output() { &y[..] } else { &[] };
    kernel.pullback(&Backward { inputs: &read, output: result, cotangent: &dy, shapes: &shapes }, &mut gradients);
    let places = places.iter().zip(&case.types).map(|(g, t)| stored(g, t, case.batch, true)).collect();
    [vec![stored(&y, &output, case.batch, true)], places]
}

pub fn largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |a: f32, b| a.max(b.abs()))
}

pub fn check(case: &Case, rng: &mut ChaCha8Rng, tolerance: f32) {
    let mut numbers = |n: usize| (0..n).map(|_| rng.gen_range(-1.0..1.0f32)).collect::<Vec<f32>>();
    let inputs: Vec<Vec<f32>> = case.types.iter().map(|t| numbers(t.elements(case.batch))).collect();
    let output = case.op.signature(&case.types).expect("the types fit");
    let cotangent = numbers(output.elements(case.batch));
    let values: Vec<Value> =
        inputs.iter().zip(&case.types).map(|(x, t)| Value::from_vec(x.clone(), &t.at(case.batch))).collect();
    let (y, gradients) = pullback(&case.op, &values, &output, case.batch, &cotangent);
    let wanted: Vec<Vec<f32>> = gradients.into_iter().map(|g| g.expect("all inputs are numbers")).collect();
    let what = format!(
        "{:?} of {:?}, batch {}, trains: {}, Winograd {}",
        case.op, case.types, case.batch, case.trains, case.winograd
    );
    let near = |what: &str, got: &[f32], want: &[f32]| {
        assert_eq!(got.len(), want.len(), "{what}");
        let most = tolerance * largest(want).max(1.0);
        let far = got.iter().zip(want).position(|(a, b)| (a - b).is_nan() || (a - b).abs() > most);
        if let Some(i) = far {
            panic!("{what}: element {i} is {} and not {}", got[i], want[i]);
        }
    };
    for before in [None, Some(0.5)] {
        let [result, places] = by_kernel(case, &inputs, &cotangent, before);
        near(&what, &result[0], &y.to_vec());
        for (i, (got, want)) in places.iter().zip(&wanted).enumerate() {
            let want: Vec<f32> = want.iter().map(|w| w + before.unwrap_or(0.0)).collect();
            near(&format!("{what}, gradient {i}, begun with {before:?}"), got, &want);
        }
    }
}

/// The case of a convolution, with a bias and an epilogue when they are asked for.
pub fn of_conv(mut op: Conv2d, [c, h, w]: [usize; 3], out: usize, kernel: [usize; 2], batch: usize) -> Case {
    let mut types = vec![map(&[c, h, w]), fixed(&[out, c / op.groups, kernel[0], kernel[1]])];
    if op.bias {
        types.push(fixed(&[out]));
    }
    if op.epilogue.residual {
        op.epilogue.residual = false;
        let output = Op::from(op.clone()).signature(&types).expect("the types fit");
        op.epilogue.residual = true;
        types.push(output);
    }
    Case { op: op.into(), types, batch, trains: true, winograd: 0 }
}

#[test]
fn many_windows_agree_with_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let channels = [1, 3, 16, 31, 33, 64];
    for _ in 0..150 {
        let one = |rng: &mut ChaCha8Rng, of: &[usize]| of[rng.gen_range(0..of.len())];
        let groups = one(&mut rng, &[1, 1, 1, 1, 2, 3]);
        let (c, out) = (one(&mut rng, &channels), one(&mut rng, &channels));
        let (c, out) = if groups > 1 { (c.div_ceil(4) * groups, out.div_ceil(4) * groups) } else { (c, out) };
        let mut two = |of: &[usize]| [one(&mut rng, of), one(&mut rng, of)];
        let (kernel, stride, dilation) = (two(&[1, 3, 5, 7]), two(&[1, 1, 2, 3]), two(&[1, 1, 1, 2, 3]));
        let ([top, bottom], [left, right]) = (two(&[0, 1, 2, 3]), two(&[0, 1, 2, 3]));
        let least = |a: usize, padding: usize| {
            let extent = (kernel[a] - 1) * dilation[a] + 1;
            extent.saturating_sub(padding).max(1)
        };
        let h = least(0, top + bottom) + rng.gen_range(0..9);
        let w = least(1, left + right) + rng.gen_range(0..9);
        let batch = [1, 1, 3][rng.gen_range(0..3)];
        let bias = rng.gen_bool(0.5);
        let op = Conv2d { bias, ..conv(stride, [top, bottom, left, right], dilation, groups) };
        let mut case = of_conv(op, [c, h, w], out, kernel, batch);
        case.trains = rng.gen_bool(0.7);
        check(&case, &mut rng, if case.trains { DIRECT } else { MINIMAL });
    }
}

#[test]
fn many_transposes_agree_with_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for _ in 0..80 {
        let one = |rng: &mut ChaCha8Rng, of: &[usize]| of[rng.gen_range(0..of.len())];
        let groups = one(&mut rng, &[1, 1, 2]);
        let (c, per_group) = (groups * one(&mut rng, &[1, 7, 16, 33]), one(&mut rng, &[1, 3, 17, 32, 40]));
        let mut two = |of: &[usize]| [one(&mut rng, of), one(&mut rng, of)];
        let (kernel, stride, dilation) = (two(&[1, 2, 3, 5]), two(&[1, 2, 3, 4]), two(&[1, 1, 2, 3]));
        let output_padding = [0, 1].map(|a| rng.gen_range(0..stride[a].max(dilation[a])));
        let padding = [0, 1].map(|a| rng.gen_range(0..=(kernel[a] - 1) * dilation[a] / 2));
        let bias = rng.gen_bool(0.5);
        let op = ConvTranspose2d { stride, padding, output_padding, dilation, groups, bias };
        let mut types =
            vec![map(&[c, rng.gen_range(1..8), rng.gen_range(1..8)]), fixed(&[c, per_group, kernel[0], kernel[1]])];
        if bias {
            types.push(fixed(&[groups * per_group]));
        }
        let case = Case { op: op.into(), types, batch: [1, 3][rng.gen_range(0..2)], trains: true, winograd: 0 };
        check(&case, &mut rng, DIRECT);
    }
}

/// Sizes that are worth several tasks, chunks and panels.
#[test]
fn larger_maps_agree_with_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let same = |stride| conv([stride; 2], [1; 4], [1; 2], 1);
    for (op, x, out, kernel, batch) in [
        (same(1), [64, 29, 30], 70, [3, 3], 3),
        (same(2), [64, 33, 32], 96, [3, 3], 2),
        (same(1), [130, 7, 7], 129, [3, 3], 5),
        (conv([2; 2], [3; 4], [1; 2], 1), [3, 64, 62], 64, [7, 7], 2),
        (conv([2; 2], [0; 4], [1; 2], 1), [96, 28, 28], 64, [1, 1], 3),
        (conv([1; 2], [0; 4], [1; 2], 1), [96, 28, 28], 64, [1, 1], 1),
        (conv([1; 2], [1; 4], [1; 2], 1), [1, 28, 28], 32, [3, 3], 32),
        (conv([1; 2], [2; 4], [2; 2], 1), [40, 30, 30], 40, [3, 3], 2),
    ] {
        check(&of_conv(op, x, out, kernel, batch), &mut rng, DIRECT);
    }
}

/// Outside of training, 3 × 3 windows that move by one: few and many tiles, sizes that tiles do not divide, panels that are not
/// full. The weights that are prepared say by their length which way was chosen: every way must be, and by larger tiles where
/// there is more to compute.
#[test]
fn minimal_filtering_agrees_with_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(16);
    let mut ways = vec![];
    for (x, out, padding, batch, bias) in [
        ([64, 7, 7], 64, [1; 4], 1, true),
        ([128, 7, 5], 96, [1; 4], 1, false),
        ([64, 14, 13], 64, [1; 4], 1, true),
        ([16, 9, 11], 16, [0; 4], 3, true),
        ([32, 29, 30], 48, [0, 1, 2, 0], 2, true),
        ([64, 33, 31], 64, [1; 4], 4, false),
        ([48, 19, 5], 112, [2, 2, 1, 1], 9, true),
        ([128, 2, 3], 128, [1; 4], 1, false),
        ([256, 4, 4], 32, [1; 4], 1, true),
    ] {
        for residual in [false, true] {
            let epilogue = Epilogue { residual, activation: Some(Activation::Relu) };
            let op = Conv2d { bias, epilogue, ..conv([1; 2], padding, [1; 2], 1) };
            let case = Case { trains: false, ..of_conv(op, x, out, [3, 3], batch) };
            let shapes = Shapes::new(case.types.iter().map(|t| t.at(batch)).collect(), vec![]);
            let kernel = find(&case.op).expect("the op has a kernel");
            let len = kernel.prepared_len(1, &shapes).expect("weights");
            let frequencies = len / (x[0] * out.next_multiple_of(32));
            ways.push(frequencies);
            check(
                &case,
                &mut rng,
                [DIRECT, DIRECT, MINIMAL][[9, 16, 36].iter().position(|f| *f == frequencies).unwrap()],
            );
        }
    }
    assert!([9, 16, 36].iter().all(|way| ways.contains(way)), "{ways:?}");
}

/// Weights that were prepared for one batch serve any other.
#[test]
fn prepared_weights_serve_batches_of_any_size() {
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let mut numbers = |n: usize| (0..n).map(|_| rng.gen_range(-1.0..1.0f32)).collect::<Vec<f32>>();
    let shapes = |batch: usize| Shapes {
        channels_last: true,
        ..Shapes::new(vec![vec![batch, 64, 8, 8], vec![64, 64, 3, 3]], vec![batch, 64, 8, 8])
    };
    let op: Op = conv([1; 2], [1; 4], [1; 2], 1).into();
    let kernel = find(&op).expect("a kernel");
    let (x, w) = (numbers(16 * 64 * 64), numbers(64 * 64 * 9));
    let [few, many] = [1, 16].map(|batch| prepared(kernel, 1, &w, &shapes(batch)).expect("weights"));
    assert_ne!(few.len(), many.len(), "the two sizes are computed in two ways");
    for batch in [1, 16] {
        let x = &x[..batch * 64 * 64];
        let [one, other] = [&few, &many].map(|prepared| {
            let mut y = vec![f32::NAN; x.len()];
            kernel.forward(&[Input::Numbers(x), Input::Prepared(prepared)], &shapes(batch), &mut y);
            y
        });
        let most = MINIMAL * largest(&one);
        assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() <= most), "batch {batch}");
    }
}

#[test]
fn every_epilogue_agrees_with_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    for &activation in ACTIVATIONS {
        for (residual, bias, out) in [(false, true, 40), (true, false, 33), (true, true, 32)] {
            for trains in [false, true] {
                let epilogue = Epilogue { residual, activation };
                let op = Conv2d { bias, epilogue, ..conv([1; 2], [1; 4], [1; 2], 1) };
                let case = Case { trains, ..of_conv(op, [16, 9, 6], out, [3, 3], 3) };
                check(&case, &mut rng, if trains { 4.0 * DIRECT } else { MINIMAL });
            }
        }
    }
}

#[test]
fn an_empty_batch_has_an_empty_result_and_no_gradient() {
    let op = Conv2d { bias: true, ..conv([1; 2], [1; 4], [1; 2], 1) };
    let transpose = ConvTranspose2d {
        stride: [2; 2],
        padding: [0; 2],
        output_padding: [0; 2],
        dilation: [1; 2],
        groups: 1,
        bias: true,
    };
    for trains in [false, true] {
        let cases = [
            Case { trains, winograd: 4, ..of_conv(op.clone(), [16, 8, 8], 32, [3, 3], 0) },
            Case {
                op: transpose.clone().into(),
                types: vec![map(&[16, 8, 8]), fixed(&[16, 32, 2, 2]), fixed(&[32])],
                batch: 0,
                trains,
                winograd: 4,
            },
        ];
        for case in cases {
            let inputs: Vec<Vec<f32>> = case.types.iter().map(|t| vec![1.0; t.elements(0)]).collect();
            let [result, places] = by_kernel(&case, &inputs, &[], None);
            assert!(result[0].is_empty() && places[0].is_empty());
            assert!(places[1..].iter().flatten().all(|g| *g == 0.0));
            let [_, places] = by_kernel(&case, &inputs, &[], Some(0.5));
            assert!(places[1..].iter().flatten().all(|g| *g == 0.5));
        }
    }
}

#[test]
fn convolutions_give_the_same_bits_on_any_number_of_threads() {
    let same = |stride| Conv2d { bias: true, ..conv([stride; 2], [1; 4], [1; 2], 1) };
    for (op, x, out, kernel, batch) in [
        (same(1), [64, 31, 33], 64, [3, 3], 3),
        (same(1), [128, 7, 7], 96, [3, 3], 1),
        (same(2), [33, 31, 33], 64, [3, 3], 3),
        (conv([2; 2], [3; 4], [1; 2], 1), [3, 65, 61], 64, [7, 7], 3),
    ] {
        for (trains, winograd) in [(false, 0), (true, 0), (true, 2), (true, 4)] {
            let case = Case { trains, winograd, ..of_conv(op.clone(), x, out, kernel, batch) };
            let mut rng = ChaCha8Rng::seed_from_u64(15);
            let mut numbers = |n: usize| (0..n).map(|_| rng.gen_range(-1.0..1.0f32)).collect::<Vec<f32>>();
            let inputs: Vec<Vec<f32>> = case.types.iter().map(|t| numbers(t.elements(batch))).collect();
            let cotangent = numbers(case.op.signature(&case.types).expect("the types fit").elements(batch));
            let bits = |threads: usize| {
                let all = with_threads(threads, || by_kernel(&case, &inputs, &cotangent, Some(0.25)));
                all.into_iter().flatten().flatten().map(f32::to_bits).collect::<Vec<u32>>()
            };
            let one = bits(1);
            for threads in [2, 3, 8] {
                assert!(bits(threads) == one, "{:?} depends on the number of threads: {threads}", case.op);
            }
        }
    }
}
