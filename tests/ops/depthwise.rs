//! Depthwise kernels over maps with their channels last against the definition of `conv2d`: every window and stride, edges, rests
//! of vectors, epilogues, gradients written and added, and the same bits on any number of threads.

use super::maps::{numbers, stored};
use super::{ACTIVATIONS, assert_close};
use mtlc::base::{DType, Type};
use mtlc::kernels::cpu::depthwise::{Geometry, data_gradient, forward, pack, weight_gradient};
use mtlc::ops::conv2d::Conv2d;
use mtlc::ops::epilogue::Epilogue;
use mtlc::ops::precision::Precision;
use mtlc::ops::pullback::pullback;
use mtlc::ops::window::Window;
use mtlc::ops::{Op, Value};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A convolution of images of `[channels, height, width]`.
struct Case {
    window: Window,
    dims: [usize; 3],
    batch: usize,
    epilogue: Epilogue,
}

/// Inputs and the gradient of the result, each row-major.
struct Given {
    inputs: Vec<Vec<f32>>,
    types: Vec<Type>,
    output: Type,
    cotangent: Vec<f32>,
}

impl Case {
    fn op(&self) -> Op {
        let Window { stride, padding, dilation, .. } = self.window;
        Conv2d {
            stride,
            padding,
            dilation,
            groups: self.dims[0],
            bias: true,
            epilogue: self.epilogue,
            precision: Precision::F32,
        }
        .into()
    }

    fn given(&self) -> Given {
        let rng = &mut ChaCha8Rng::seed_from_u64(5);
        let ([c, ..], [kh, kw]) = (self.dims, self.window.kernel);
        let fixed = |dims: &[usize]| Type::fixed(DType::F32, dims);
        let mut types = vec![Type::batched(DType::F32, &self.dims), fixed(&[c, 1, kh, kw]), fixed(&[c])];
        let plain = Conv2d { epilogue: Epilogue::default(), ..self.conv() };
        let output = Op::from(plain).signature(&types).expect("the types fit");
        types.extend(self.epilogue.residual.then(|| output.clone()));
        let inputs = types.iter().map(|t| numbers(rng, t.elements(self.batch))).collect();
        let cotangent = numbers(rng, output.elements(self.batch));
        Given { inputs, types, output, cotangent }
    }

    fn conv(&self) -> Conv2d {
        let Op::Conv2d(conv) = self.op() else { unreachable!("it is one") };
        conv
    }

    /// The result, and the gradients of image and windows, row-major.
    fn computed(&self, given: &Given, add: bool) -> [Vec<f32>; 3] {
        let Given { inputs, types, output, cotangent } = given;
        let last = |i: usize| stored(&inputs[i], &types[i], self.batch, true, false);
        let geometry = Geometry::new(self.window, &types[0].at(self.batch));
        let mut packed = vec![0.0; inputs[1].len()];
        pack(&inputs[1], self.dims[0], &mut packed);
        let (image, dy) = (last(0), stored(cotangent, output, self.batch, true, false));
        let residual = if self.epilogue.residual { last(3) } else { vec![] };
        let mut y = vec![f32::NAN; dy.len()];
        forward(&geometry, &packed, &image, &inputs[2], &residual, self.epilogue.activation, &mut y);
        let before = if add { 0.5 } else { f32::NAN };
        let (mut dx, mut dw) = (vec![before; image.len()], vec![before; packed.len()]);
        data_gradient(&geometry, &packed, &dy, &mut dx, add);
        weight_gradient(&geometry, &dy, &image, &mut dw, add);
        [stored(&y, output, self.batch, true, true), stored(&dx, &types[0], self.batch, true, true), dw]
    }

    fn check(&self) {
        let (given, name) = (self.given(), format!("{:?} of {:?}, batch {}", self.op(), self.dims, self.batch));
        let [one, add, three] = [(1, false), (1, true), (3, false)]
            .map(|(threads, add)| mtlc::kernels::cpu::parallel::with_threads(threads, || self.computed(&given, add)));
        for (a, b) in one.iter().flatten().zip(three.iter().flatten()) {
            assert_eq!(a.to_bits(), b.to_bits(), "{name} depends on the number of threads");
        }
        let inputs: Vec<Value> =
            given.inputs.iter().zip(&given.types).map(|(g, t)| Value::from_vec(g.clone(), &t.at(self.batch))).collect();
        let (value, _) = pullback(&self.op(), &inputs, &given.output, self.batch, &given.cotangent);
        assert_close(&format!("{name}, value"), &one[0], &value.to_vec(), 1e-5);
        let plain = Conv2d { epilogue: Epilogue::default(), ..self.conv() };
        let (_, gradients) = pullback(&plain.into(), &inputs[..3], &given.output, self.batch, &given.cotangent);
        for (i, want) in gradients.into_iter().take(2).enumerate() {
            let want = want.expect("all inputs are numbers");
            // A sum of many terms errs by their size.
            let scale = want.iter().fold(1.0f32, |most, w| most.max(w.abs()));
            let scaled = |v: &[f32], less: f32| v.iter().map(|v| (v - less) / scale).collect::<Vec<f32>>();
            assert_close(&format!("{name}, gradient {i}"), &scaled(&one[i + 1], 0.0), &scaled(&want, 0.0), 2e-5);
            assert_close(&format!("{name}, gradient {i} added"), &scaled(&add[i + 1], 0.5), &scaled(&want, 0.0), 2e-5);
        }
    }
}

fn window(k: usize, s: usize, padding: [usize; 4]) -> Window {
    Window { kernel: [k, k], stride: [s, s], padding, dilation: [1, 1] }
}

#[test]
fn windows_that_networks_have() {
    for (k, s) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
        for dims in [[16, 7, 7], [35, 14, 15], [67, 29, 31], [200, 8, 5], [1, 20, 9], [24, 3, 2], [5, 1, 1]] {
            for padding in [[k / 2; 4], [0, k / 2, 1, k - 1], [k + 1, 0, k + 2, k]] {
                let fits = dims[1] + padding[0] + padding[1] >= k && dims[2] + padding[2] + padding[3] >= k;
                if fits {
                    Case { window: window(k, s, padding), dims, batch: 3, epilogue: Epilogue::default() }.check();
                }
            }
        }
        let epilogue = Epilogue::default();
        Case { window: window(k, s, [0; 4]), dims: [130, 33, 23], batch: 2, epilogue }.check();
        Case { window: window(k, s, [k / 2; 4]), dims: [33, 9, 9], batch: 0, epilogue }.check();
    }
}

#[test]
fn windows_of_any_other_form() {
    for (kernel, stride, padding, dilation) in [
        ([7, 7], [1, 1], [3; 4], [1, 1]),
        ([3, 3], [1, 1], [2; 4], [2, 2]),
        ([3, 5], [2, 1], [1, 0, 2, 3], [1, 2]),
        ([1, 1], [1, 1], [0; 4], [1, 1]),
        ([2, 2], [3, 3], [0, 1, 0, 1], [1, 1]),
        ([3, 3], [3, 2], [1; 4], [1, 3]),
    ] {
        let window = Window { kernel, stride, padding, dilation };
        for dims in [[35, 14, 15], [9, 8, 9]] {
            Case { window, dims, batch: 2, epilogue: Epilogue::default() }.check();
        }
    }
}

#[test]
fn epilogues() {
    for &activation in ACTIVATIONS {
        for residual in [false, true] {
            let epilogue = Epilogue { residual, activation };
            Case { window: window(3, 1, [1; 4]), dims: [150, 15, 14], batch: 2, epilogue }.check();
            Case { window: window(7, 1, [3; 4]), dims: [20, 9, 9], batch: 2, epilogue }.check();
        }
    }
}
