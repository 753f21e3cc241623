//! The faults of dfdx 0.13 that `.clippy.toml` keeps out of the code, shown one by one.
//!
//! Every call here is disallowed, and says that it expects to be: under clippy a path of `.clippy.toml` that matches
//! nothing makes its expectation fail. When a newer dfdx repairs a fault, its test fails, and the ban can go.

use dfdx::prelude::*;

type Vector = Tensor<(usize,), f32, Cpu>;
type Matrix = Tensor<(usize, usize), f32, Cpu>;

fn vector(data: &[f32]) -> Vector {
    Cpu::default().tensor_from_vec(data.to_vec(), (data.len(),))
}

fn matrix(data: [[f32; 3]; 2]) -> Matrix {
    Cpu::default().tensor_from_vec(data.concat(), (2, 3))
}

#[test]
fn the_gradient_of_slice_assigns() {
    let x = vector(&[1.0, 2.0, 3.0]);
    let own = x.leaky_trace();
    #[expect(clippy::disallowed_methods)]
    let part = own.with_empty_tape().slice((0..2,));
    let total = own.sum::<(), _>() + part.sum::<(), _>();
    // Right would be [2, 2, 1].
    assert_eq!(total.backward().get(&x).as_vec(), [1.0, 1.0, 1.0]);
    #[expect(clippy::disallowed_methods)]
    let _ = x.clone().try_slice((0..2,));
    #[expect(clippy::disallowed_methods)]
    let _ = slice(x, (0..2,));
}

#[test]
fn the_gradient_of_accurate_gelu_has_a_wrong_constant() {
    let x = vector(&[1.0]);
    #[expect(clippy::disallowed_methods)]
    let y = x.leaky_trace().accurate_gelu();
    let gradient = y.sum::<(), _>().backward().get(&x).as_vec()[0];
    assert!((gradient - 1.083_315).abs() > 0.01, "{gradient}");
    #[expect(clippy::disallowed_methods)]
    let _ = x.clone().try_accurate_gelu();
    #[expect(clippy::disallowed_methods)]
    let _ = accurate_gelu(x);
}

#[test]
fn dropout_draws_at_each_call() {
    let x = vector(&[1.0; 64]);
    #[expect(clippy::disallowed_methods)]
    let (a, b) = (x.leaky_trace().dropout(0.5), x.leaky_trace().dropout(0.5));
    assert_ne!(a.as_vec(), b.as_vec());
    #[expect(clippy::disallowed_methods)]
    let _ = x.leaky_trace().try_dropout(0.5);
    #[expect(clippy::disallowed_methods)]
    let _ = dropout(x.leaky_trace(), 0.5);
}

#[test]
fn extremes_give_every_tie_the_whole_gradient_and_hide_nan() {
    let ties = matrix([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]]);
    #[expect(clippy::disallowed_methods)]
    let y = ties.leaky_trace().max::<(usize,), Axis<1>>();
    assert_eq!(y.sum::<(), _>().backward().get(&ties).as_vec(), [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
    let nan = matrix([[f32::NAN, 1.0, 0.0], [2.0, 2.0, 2.0]]);
    #[expect(clippy::disallowed_methods)]
    let y = nan.clone().try_max::<(usize,), Axis<1>>().unwrap();
    assert_eq!(y.as_vec(), [1.0, 2.0]);
    #[expect(clippy::disallowed_methods)]
    let y = nan.clone().min::<(usize,), Axis<1>>();
    assert_eq!(y.as_vec(), [0.0, 2.0]);
    #[expect(clippy::disallowed_methods)]
    let _ = nan.try_min::<(usize,), Axis<1>>();
    let (nan, one) = (vector(&[f32::NAN]), vector(&[1.0]));
    #[expect(clippy::disallowed_methods)]
    let y = nan.clone().maximum(one.clone());
    assert_eq!(y.as_vec(), [1.0]);
    #[expect(clippy::disallowed_methods)]
    let y = nan.minimum(one);
    assert_eq!(y.as_vec(), [1.0]);
}

/// The gradient of `first entry of row 0` with respect to the columns of a permuted matrix, by dfdx and by hand.
#[test]
fn the_gradient_of_softmax_on_a_view_is_out_of_order() {
    let x = matrix([[0.0, 1.0, 2.0], [0.5, -1.0, 3.0]]);
    let turned = || x.leaky_trace().permute::<_, Axes2<1, 0>>();
    let weights = || Cpu::default().tensor_from_vec(vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0], (3usize, 2usize));
    let of = |y: Tensor<(usize, usize), f32, Cpu, OwnedTape<f32, Cpu>>| {
        (y * weights()).sum::<(), _>().backward().get(&x).as_vec()
    };
    let sound = of(mtlc::ops::sound::softmax::<Axis<1>, _, _>(turned()));
    assert!((sound[0] + sound[3]).abs() < 1e-6 && sound[0] > 0.2, "{sound:?}");
    #[expect(clippy::disallowed_methods)]
    let raw = of(turned().softmax::<Axis<1>>());
    assert_ne!(raw, sound);
    #[expect(clippy::disallowed_methods)]
    let _ = turned().try_softmax::<Axis<1>>();
    #[expect(clippy::disallowed_methods)]
    let _ = softmax::<Axis<1>, _, _, _, _>(turned());
    let sound = of(mtlc::ops::sound::log_softmax::<Axis<1>, _, _>(turned()));
    #[expect(clippy::disallowed_methods)]
    let raw = of(turned().log_softmax::<Axis<1>>());
    assert_ne!(raw, sound);
    #[expect(clippy::disallowed_methods)]
    let _ = turned().try_log_softmax::<Axis<1>>();
    #[expect(clippy::disallowed_methods)]
    let _ = log_softmax::<Axis<1>, _, _, _, _>(turned());
    #[expect(clippy::disallowed_methods)]
    let _ = turned().logsumexp::<(usize,), Axis<1>>();
    #[expect(clippy::disallowed_methods)]
    let _ = turned().try_logsumexp::<(usize,), Axis<1>>();
}

#[test]
fn rectifiers_hide_nan() {
    let x = vector(&[f32::NAN]);
    #[expect(clippy::disallowed_methods)]
    let y = x.clone().relu();
    assert_eq!(y.as_vec(), [0.0]);
    #[expect(clippy::disallowed_methods)]
    let _ = x.clone().try_relu();
    #[expect(clippy::disallowed_methods)]
    let _ = relu(x.clone());
    #[expect(clippy::disallowed_methods)]
    let y = x.leaky_trace().clamp(0.0, 6.0);
    assert_eq!(y.sum::<(), _>().backward().get(&x).as_vec(), [0.0]);
    #[expect(clippy::disallowed_methods)]
    let _ = x.clone().try_clamp(0.0, 6.0);
    #[expect(clippy::disallowed_methods)]
    let _ = clamp(x, 0.0, 6.0);
}

#[test]
fn bilinear_resizing_aligns_corners() {
    let x: Tensor<(usize, usize, usize), f32, Cpu> =
        Cpu::default().tensor_from_vec(vec![0.0, 1.0, 0.0, 1.0], (1, 2, 2));
    #[expect(clippy::disallowed_methods)]
    let y = x.upscale2d_like(Bilinear, 2, 4);
    assert!((y.as_vec()[1] - 1.0 / 3.0).abs() < 1e-6, "{:?}", y.as_vec());
}
