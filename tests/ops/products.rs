//! Kernels that are matrix products, `linear` and `attention`, against their definitions at sizes around those of tiles, panels
//! and strips: values, gradients that write and that add, epilogues, prepared weights and the number of threads.

use super::{ACTIVATIONS, prepared};
use mtlc::base::{DType, Type};
use mtlc::kernels::cpu::{Backward, Gradient, Input, Shapes, find};
use mtlc::ops::epilogue::Epilogue;
use mtlc::ops::{Op, Value, attention::Attention, linear::Linear, pullback::pullback};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Runs an op at a batch size by its kernel and by its definition. Inputs are given, or drawn from −1 to 1.
fn check(op: impl Into<Op>, types: &[Type], batch: usize, given: &[Option<Vec<f32>>]) {
    let op = op.into();
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut draw = |n: usize| (0..n).map(|_| rng.gen_range(-1.0..1.0f32)).collect::<Vec<f32>>();
    let numbers: Vec<Vec<f32>> = types
        .iter()
        .enumerate()
        .map(|(i, t)| given.get(i).cloned().flatten().unwrap_or_else(|| draw(t.elements(batch))))
        .collect();
    let output = op.signature(types).expect("the types fit");
    let cotangent = draw(output.elements(batch));
    let values: Vec<Value> = numbers.iter().zip(types).map(|(x, t)| Value::from_vec(x.clone(), &t.at(batch))).collect();
    let (want, slopes) = pullback(&op, &values, &output, batch, &cotangent);
    let want = want.to_vec();

    let kernel = find(&op).expect("the op has a kernel");
    let shapes = Shapes::new(types.iter().map(|t| t.at(batch)).collect(), output.at(batch));
    let inputs: Vec<Input> = numbers.iter().map(|x| Input::Numbers(x)).collect();
    let run = |inputs: &[Input], threads: usize| {
        mtlc::kernels::cpu::parallel::with_threads(threads, || {
            let kernel = find(&op).expect("the op has a kernel");
            let mut result = vec![f32::NAN; want.len()];
            kernel.forward(inputs, &shapes, &mut result);
            let read = |i: usize| if kernel.reads(i) { Input::Numbers(&numbers[i]) } else { Input::Numbers(&[]) };
            let read: Vec<Input> = (0..numbers.len()).map(read).collect();
            let gradients = [false, true].map(|add| {
                let before = if add { 0.5 } else { f32::NAN };
                let mut places: Vec<Vec<f32>> = numbers.iter().map(|x| vec![before; x.len()]).collect();
                let mut gradients: Vec<Option<Gradient>> =
                    places.iter_mut().map(|data| Some(Gradient { data, add })).collect();
                let output: &[f32] = if kernel.reads_output() { &result } else { &[] };
                kernel.pullback(
                    &Backward { inputs: &read, output, cotangent: &cotangent, shapes: &shapes },
                    &mut gradients,
                );
                places
            });
            (result, gradients)
        })
    };
    let name = format!("{op:?} of {types:?} at {batch}");
    let close = |what: &str, got: &[f32], want: &[f32], before: f32| {
        assert_eq!(got.len(), want.len());
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            let w = w + before;
            assert!((g - w).abs() <= 4e-5 * w.abs().max(1.0), "{name}: {what} is {g} at {i}, and not {w}");
        }
    };
    let (result, gradients) = run(&inputs, 1);
    close("the result", &result, &want, 0.0);
    for (i, slope) in slopes.iter().enumerate() {
        let slope = slope.as_ref().expect("numbers have gradients");
        close(&format!("gradient {i}"), &gradients[0][i], slope, 0.0);
        close(&format!("added gradient {i}"), &gradients[1][i], slope, 0.5);
    }
    let prepared: Vec<Option<Vec<f32>>> =
        (0..numbers.len()).map(|i| prepared(kernel, i, &numbers[i], &shapes)).collect();
    let packed: Vec<Input> =
        prepared.iter().zip(&inputs).map(|(p, i)| p.as_ref().map_or(*i, |p| Input::Prepared(p))).collect();
    let (again, others) = run(&packed, 3);
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
    assert!(bits(&again) == bits(&result), "{name}: prepared weights or more threads give other bits");
    for (a, b) in gradients.iter().flatten().zip(others.iter().flatten()) {
        assert!(bits(a) == bits(b), "{name}: more threads give other bits");
    }
}

fn x(dims: &[usize]) -> Type {
    Type::batched(DType::F32, dims)
}

fn w(dims: &[usize]) -> Type {
    Type::fixed(DType::F32, dims)
}

#[test]
fn linear_layers_of_odd_sizes() {
    for rows in [1, 2, 3, 13, 14, 15, 29] {
        for (width, out) in [(1, 1), (7, 31), (31, 33), (33, 7), (65, 65)] {
            check(Linear { bias: true, ..Linear::default() }, &[x(&[width]), w(&[out, width]), w(&[out])], rows, &[]);
        }
    }
    // Rows that are tokens, no bias, sums in parts, and enough work for several tasks.
    check(Linear::default(), &[x(&[5, 33]), w(&[40, 33])], 3, &[]);
    check(Linear { bias: true, ..Linear::default() }, &[x(&[131, 65]), w(&[70, 65]), w(&[70])], 5, &[]);
    check(Linear { bias: true, ..Linear::default() }, &[x(&[210]), w(&[300, 210]), w(&[300])], 117, &[]);
}

#[test]
fn linear_layers_with_epilogues() {
    for &activation in ACTIVATIONS {
        for (bias, residual) in [(true, true), (false, true), (true, false)] {
            let op = Linear { bias, epilogue: Epilogue { residual, activation }, ..Default::default() };
            let mut types = vec![x(&[19]), w(&[37, 19])];
            types.extend(bias.then(|| w(&[37])));
            types.extend(residual.then(|| x(&[37])));
            check(op, &types, 15, &[]);
        }
    }
}

#[test]
fn attention_of_odd_lengths_and_widths() {
    for (queries, keys, heads, depth) in
        [(1, 1, 1, 1), (3, 5, 2, 7), (13, 33, 1, 31), (14, 14, 3, 32), (29, 7, 2, 33), (150, 65, 1, 8), (7, 400, 1, 65)]
    {
        let types = [x(&[queries, heads * depth]), x(&[keys, heads * depth]), x(&[keys, heads * depth])];
        check(Attention { heads }, &types, 2, &[]);
        // Every third key is padding, and the last example is nothing else.
        let mask: Vec<f32> =
            (0..2 * keys).map(|i| if i < keys && (i % 3 != 1 || i == 0) { 1.0 } else { 0.0 }).collect();
        let masked = [&types[..], &[x(&[keys])]].concat();
        check(Attention { heads }, &masked, 2, &[None, None, None, Some(mask)]);
    }
}
