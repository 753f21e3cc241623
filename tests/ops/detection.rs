//! The loss of boxes where it is smooth, against finite differences: logits that no assignment depends on.

use super::{bytes, scalar, single_ops};
use mtlc::ops::Value;
use mtlc::ops::detect::BEHIND;
use mtlc::ops::pullback::pullback;
use safetensors::SafeTensors;

#[test]
fn logits_apart_from_the_assignment_agree_with_finite_differences() {
    let goldens = SafeTensors::deserialize(bytes()).unwrap();
    let case = single_ops().find(|case| case.name == "detection").expect("a golden");
    let inputs = case.values(&goldens);
    let (numbers, dims, target) = (inputs[0].to_vec(), inputs[0].dims(), inputs[1].to_vec());
    let (classes, per_row) = (dims[2] - BEHIND, target.len() / case.batch);
    let (_, gradients) = pullback(&case.op, &inputs, &case.output, case.batch, &[1.0]);
    let gradient = gradients[0].as_ref().unwrap();
    let (mut checked, mut moved) = (0, 0);
    for cell in 0..dims[0] * dims[1] {
        let row = cell / dims[1];
        let has = |class: usize| target[row * per_row..][..per_row].chunks(5).any(|b| b[0] == class as f32);
        // The quality, and the classes that no box of the image has.
        for logit in (0..=classes).filter(|c| *c == classes || !has(*c)) {
            let at = cell * dims[2] + logit;
            let [low, high] = [-1e-2, 1e-2].map(|h| {
                let mut near = numbers.clone();
                near[at] += h;
                let inputs = [Value::from_vec(near, &dims), inputs[1].clone(), inputs[2].clone()];
                scalar(&case, &inputs, &[1.0])
            });
            let difference = (high - low) / 2e-2;
            let error = (difference - f64::from(gradient[at])).abs();
            assert!(error < 4e-3, "cell {cell}, logit {logit}: {} and {difference}", gradient[at]);
            checked += 1;
            moved += usize::from(difference.abs() > 1e-2);
        }
    }
    assert!(checked > 100 && moved > 50, "{checked} checked, {moved} moved");
}
