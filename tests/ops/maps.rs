//! Kernels of feature maps against the definitions of their ops, at sizes that fill whole vectors and blocks and leave a rest:
//! values, gradients written and added, and the same bits on any number of threads.

use super::{ACTIVATIONS, assert_close};
use mtlc::base::{DType, Type};
use mtlc::kernels::cpu::{Backward, Gradient, Input, Shapes, find};
use mtlc::ops::epilogue::{Activation, Epilogue};
use mtlc::ops::pullback::pullback;
use mtlc::ops::{self, Maps, Op, Value};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn x(dims: &[usize]) -> Type {
    Type::batched(DType::F32, dims)
}

fn w(dims: &[usize]) -> Type {
    Type::fixed(DType::F32, dims)
}

fn is_map(ty: &Type) -> bool {
    ty.is_batched() && ty.rank() == 4
}

/// Row-major numbers with the channels last where the value is a map, and back.
pub fn stored(numbers: &[f32], ty: &Type, batch: usize, channels_last: bool, back: bool) -> Vec<f32> {
    if !channels_last || !is_map(ty) {
        return numbers.to_vec();
    }
    let [_, c, h, w] = ty.at(batch).try_into().expect("a map");
    let mut moved = vec![0.0; numbers.len()];
    for planar in 0..numbers.len() {
        let (plane, pixel) = (planar / (h * w), planar % (h * w));
        let last = (plane / c * h * w + pixel) * c + plane % c;
        let (from, to) = if back { (last, planar) } else { (planar, last) };
        moved[to] = numbers[from];
    }
    moved
}

/// The result and the gradients of a kernel, the gradients added to `before` or written over it.
fn computed(op: &Op, types: &[Type], batch: usize, given: &[Vec<f32>], cotangent: &[f32], add: bool) -> Vec<Vec<f32>> {
    let (kernel, output) = (find(op).expect("the op has a kernel"), op.signature(types).expect("the types fit"));
    let channels_last = op.maps(types) != Maps::RowMajor && types.iter().any(is_map);
    let given: Vec<Vec<f32>> =
        given.iter().zip(types).map(|(g, t)| stored(g, t, batch, channels_last, false)).collect();
    let cotangent = stored(cotangent, &output, batch, channels_last, false);
    let shapes = Shapes {
        channels_last,
        trains: true,
        ..Shapes::new(types.iter().map(|t| t.at(batch)).collect(), output.at(batch))
    };
    let inputs: Vec<Input> = given.iter().map(|g| Input::Numbers(g)).collect();
    let mut result = vec![f32::NAN; cotangent.len()];
    kernel.forward(&inputs, &shapes, &mut result);
    let read: Vec<Input> =
        given.iter().enumerate().map(|(i, g)| Input::Numbers(if kernel.reads(i) { g } else { &[] })).collect();
    let before = if add { 0.5 } else { f32::NAN };
    let mut places: Vec<Vec<f32>> = given.iter().map(|g| vec![before; g.len()]).collect();
    let mut gradients: Vec<Option<Gradient>> =
        places.iter_mut().enumerate().map(|(i, data)| op.differentiates(i).then_some(Gradient { data, add })).collect();
    let kept: &[f32] = if kernel.reads_output() { &result } else { &[] };
    kernel.pullback(&Backward { inputs: &read, output: kept, cotangent: &cotangent, shapes: &shapes }, &mut gradients);
    let result = stored(&result, &output, batch, channels_last, true);
    let gradients = places.iter().zip(types).map(|(g, t)| stored(g, t, batch, channels_last, true));
    std::iter::once(result).chain(gradients).collect()
}

pub fn numbers(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.gen_range(-1.0..1.0f32)).collect()
}

/// Mean and variance of each channel.
fn moments(x: &[f32], ty: &Type, batch: usize) -> (Vec<f32>, Vec<f32>) {
    let [channels, places] = [ty.inner()[0], ty.inner()[1..].iter().product()];
    let of = |c: usize, f: &dyn Fn(f64) -> f64| {
        let rows = x.chunks_exact(places).skip(c).step_by(channels).flatten();
        rows.map(|x| f(f64::from(*x))).sum::<f64>() / (batch * places) as f64
    };
    let mean: Vec<f64> = (0..channels).map(|c| of(c, &|x| x)).collect();
    let var = (0..channels).map(|c| of(c, &|x| (x - mean[c]) * (x - mean[c])) as f32).collect();
    (mean.iter().map(|m| *m as f32).collect(), var)
}

fn check(op: impl Into<Op>, types: &[Type], batch: usize) {
    let op = op.into();
    let rng = &mut ChaCha8Rng::seed_from_u64(11);
    let mut given: Vec<Vec<f32>> = types.iter().map(|t| numbers(rng, t.elements(batch))).collect();
    if let Op::BatchNorm(norm) = &op {
        given[2].iter_mut().for_each(|v| *v = v.abs() + 0.5);
        if norm.own_moments {
            (given[1], given[2]) = moments(&given[0], &types[0], batch);
        }
    }
    let output = op.signature(types).expect("the types fit");
    let cotangent = numbers(rng, output.elements(batch));
    let name = format!("{op:?} of {types:?}, batch {batch}");
    let [one, add, three] = [(1, false), (1, true), (3, false)].map(|(threads, add)| {
        mtlc::kernels::cpu::parallel::with_threads(threads, || computed(&op, types, batch, &given, &cotangent, add))
    });
    for (i, (a, b)) in one.iter().zip(&three).enumerate() {
        let same = a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{name}: number {i} of results depends on the number of threads");
    }
    let values: Vec<Value> = given.iter().zip(types).map(|(g, t)| Value::from_vec(g.clone(), &t.at(batch))).collect();
    let (value, gradients) = pullback(&op, &values, &output, batch, &cotangent);
    assert_close(&format!("{name}, value"), &one[0], &value.to_vec(), 1e-4);
    for (i, want) in gradients.into_iter().enumerate().filter(|(i, _)| op.differentiates(*i)) {
        let want = want.expect("all inputs are numbers");
        // A sum over many numbers near one another in size, of either sign, errs by their size and not by its own.
        let scale = want.iter().fold(1.0f32, |most, w| most.max(w.abs()));
        let shrink = |v: &[f32], less: f32| v.iter().map(|v| (v - less) / scale).collect::<Vec<f32>>();
        assert_close(&format!("{name}, gradient {i}"), &shrink(&one[i + 1], 0.0), &shrink(&want, 0.0), 2e-5);
        assert_close(&format!("{name}, gradient {i} added"), &shrink(&add[i + 1], 0.5), &shrink(&want, 0.0), 2e-5);
    }
}

fn batch_norm(own_moments: bool, residual: bool, activation: Option<Activation>) -> ops::batch_norm::BatchNorm {
    ops::batch_norm::BatchNorm { epsilon: 1e-3, own_moments, epilogue: Epilogue { residual, activation } }
}

/// The types of a batch norm's inputs.
fn normed(dims: &[usize], residual: bool) -> Vec<Type> {
    let c = w(&dims[..1]);
    let mut types = vec![x(dims), c.clone(), c.clone(), c.clone(), c];
    types.extend(residual.then(|| x(dims)));
    types
}

#[test]
fn batch_norms_with_every_epilogue() {
    for &activation in ACTIVATIONS {
        for residual in [false, true] {
            check(batch_norm(false, residual, activation), &normed(&[19, 9, 7], residual), 3);
            check(batch_norm(true, residual, activation), &normed(&[19, 9, 7], residual), 3);
        }
    }
}

#[test]
fn batch_norms_of_every_size() {
    let relu = Some(Activation::Relu);
    for dims in [&[64, 33, 31][..], &[67, 45, 47], &[8, 3, 3], &[700, 5, 5], &[1, 90, 90], &[13], &[600], &[5, 77]] {
        for own_moments in [false, true] {
            check(batch_norm(own_moments, true, relu), &normed(dims, true), 5);
            check(batch_norm(own_moments, false, Some(Activation::Silu)), &normed(dims, false), 2);
        }
        check(ops::channel_mean::ChannelMean {}, &[x(dims)], 5);
        check(ops::channel_var::ChannelVar {}, &[x(dims), w(&dims[..1])], 5);
    }
    check(batch_norm(false, true, relu), &normed(&[16, 5, 5], true), 0);
}

#[test]
fn group_norms() {
    for (dims, groups) in [([24, 9, 7], 4), ([36, 33, 31], 9), ([260, 5, 7], 2), ([6, 3, 3], 6)] {
        let types = [x(&dims), w(&dims[..1]), w(&dims[..1])];
        check(ops::group_norm::GroupNorm { groups, epsilon: 1e-3 }, &types, 3);
    }
}

#[test]
fn pools_of_every_window() {
    for dims in [[35, 29, 31], [64, 56, 40], [7, 9, 9], [520, 7, 7]] {
        for (kernel, stride, padding) in [
            ([3, 3], [2, 2], [1; 4]),
            ([3, 3], [1, 1], [0, 2, 1, 1]),
            ([2, 2], [2, 2], [0; 4]),
            ([5, 3], [3, 4], [2, 1, 0, 2]),
            ([1, 2], [2, 3], [0; 4]),
        ] {
            for batch in [0, 1, 3] {
                check(ops::max_pool2d::MaxPool2d { kernel, stride, padding }, &[x(&dims)], batch);
                for count_padding in [false, true] {
                    let pool = ops::avg_pool2d::AvgPool2d { kernel, stride, padding, count_padding };
                    check(pool, &[x(&dims)], batch);
                }
            }
        }
        check(ops::global_avg_pool::GlobalAvgPool {}, &[x(&dims)], 3);
    }
}

#[test]
fn of_equal_numbers_the_first_wins_and_nan_over_all() {
    let pool: Op = ops::max_pool2d::MaxPool2d { kernel: [3, 3], stride: [2, 2], padding: [1; 4] }.into();
    let (types, rng) = ([x(&[37, 11, 13])], &mut ChaCha8Rng::seed_from_u64(3));
    let special = [1.0, 2.0, f32::NAN, f32::NEG_INFINITY];
    let given: Vec<f32> = (0..2 * types[0].elements(1)).map(|_| special[rng.gen_range(0..4)]).collect();
    let output = pool.signature(&types).expect("the types fit");
    let cotangent = numbers(rng, output.elements(2));
    let got = computed(&pool, &types, 2, std::slice::from_ref(&given), &cotangent, false);
    let value = Value::from_vec(given, &types[0].at(2));
    let (want, gradients) = pullback(&pool, &[value], &output, 2, &cotangent);
    assert!(got[0].iter().zip(want.to_vec()).all(|(a, b)| *a == b || (a.is_nan() && b.is_nan())));
    assert_close("gradient", &got[1], gradients[0].as_ref().expect("numbers"), 1e-5);
}

#[test]
fn images_of_other_sizes() {
    use ops::upsample::{Mode, Upsample};
    for (dims, size) in [([35, 9, 7], [18, 14]), ([70, 13, 17], [5, 40]), ([3, 4, 6], [1, 1]), ([41, 1, 1], [6, 5])] {
        for mode in [Mode::Nearest, Mode::Bilinear, Mode::BilinearAligned] {
            check(Upsample { size, mode }, &[x(&dims)], 2);
        }
        check(ops::adaptive_avg_pool2d::AdaptiveAvgPool2d { size }, &[x(&dims)], 3);
    }
}

#[test]
fn joints_and_slices_along_every_axis() {
    use ops::{concat::Concat, slice::Slice};
    check(Concat { axis: 1 }, &[x(&[35, 19, 21]), x(&[1, 19, 21]), x(&[64, 19, 21])], 5);
    check(Concat { axis: 2 }, &[x(&[35, 3, 7]), x(&[35, 5, 7])], 2);
    check(Concat { axis: 3 }, &[x(&[35, 3, 7]), x(&[35, 3, 2])], 2);
    for axis in 1..4 {
        check(Slice { axis, start: 3, end: 17 }, &[x(&[67, 29, 31])], 3);
        check(Slice { axis, start: 0, end: 2 }, &[x(&[5, 6, 7])], 0);
    }
}

#[test]
fn gates_and_tokens() {
    use ops::{add_rows::AddRows, prepend::Prepend, scale_channels::ScaleChannels};
    for dims in [[67, 29, 31], [8, 56, 57], [1, 3, 3], [520, 1, 1]] {
        for batch in [0, 1, 5] {
            check(ScaleChannels {}, &[x(&dims), x(&dims[..1])], batch);
        }
    }
    check(ScaleChannels {}, &[x(&[35, 77]), x(&[35])], 3);
    for batch in [0, 1, 7] {
        check(AddRows { row: None }, &[x(&[97, 67]), w(&[101, 67])], batch);
        check(AddRows { row: Some(2) }, &[x(&[97, 67]), w(&[3, 67])], batch);
        check(Prepend {}, &[x(&[196, 65]), w(&[65])], batch);
    }
}
