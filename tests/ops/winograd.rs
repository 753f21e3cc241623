//! Winograd in training steps: what is allowed is taken, and agrees with the definition.

use super::convolution::{Case, DIRECT, MINIMAL, by_kernel, check, conv, largest, of_conv};
use mtlc::ops::conv2d::Conv2d;
use mtlc::ops::epilogue::{Activation, Epilogue};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// In training, forward and both gradients, as far as a call allows: tiles at every edge, several groups of tiles, paddings for
/// which the image's gradient reads beyond its source or is not computed by tiles, filters that fill half a panel; and where it is
/// allowed, the result is not that of direct sums.
#[test]
fn minimal_filtering_in_training_agrees_with_the_definition() {
    let mut rng = ChaCha8Rng::seed_from_u64(18);
    for (x, out, padding, batch) in [
        ([64, 14, 13], 64, [1; 4], 2),
        ([16, 9, 11], 16, [0; 4], 3),
        ([32, 29, 30], 48, [0, 1, 2, 0], 3),
        ([64, 33, 31], 64, [1; 4], 8),
        ([48, 19, 5], 112, [2, 2, 1, 1], 9),
        ([96, 8, 9], 160, [1; 4], 5),
        ([32, 17, 18], 32, [3, 3, 2, 2], 4),
        ([128, 7, 7], 128, [1; 4], 8),
    ] {
        for residual in [false, true] {
            // At a kink, sums that differ in their last bits may take different sides.
            let epilogue = Epilogue { residual, activation: residual.then_some(Activation::Tanh) };
            let op = Conv2d { bias: residual, epilogue, ..conv([1; 2], padding, [1; 2], 1) };
            for (winograd, tolerance) in [(0, DIRECT), (2, DIRECT), (4, MINIMAL)] {
                // Behind an activation, results are smaller than the sums that err.
                let tolerance = if residual { 4.0 * tolerance } else { tolerance };
                check(&Case { winograd, ..of_conv(op.clone(), x, out, [3, 3], batch) }, &mut rng, tolerance);
            }
        }
    }
}

/// What a call allows is what it gets: forward and both gradients round in another way for each size of tiles, and where none
/// are allowed they are direct sums.
#[test]
fn tiles_are_taken_where_they_are_allowed() {
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    let mut numbers = |n: usize| (0..n).map(|_| rng.gen_range(-1.0..1.0f32)).collect::<Vec<f32>>();
    let case = of_conv(conv([1; 2], [1; 4], [1; 2], 1), [64, 32, 32], 64, [3, 3], 8);
    let inputs: Vec<Vec<f32>> = case.types.iter().map(|t| numbers(t.elements(8))).collect();
    let cotangent = numbers(8 * 64 * 32 * 32);
    let [off, two, four] = [0, 2, 4].map(|winograd| {
        let case = Case { op: case.op.clone(), types: case.types.clone(), winograd, ..case };
        by_kernel(&case, &inputs, &cotangent, None).concat()
    });
    for (what, i) in [("the result", 0), ("the gradient of the image", 1), ("the gradient of the weights", 2)] {
        assert!(off[i] != four[i] && two[i] != four[i], "{what} is not computed by tiles of 4");
        assert!(largest(&off[i]) > 1.0 && off[i] != two[i], "{what} is not computed by tiles of 2");
    }
}
