//! The loss of boxes: `detection`. What answers for what is decided by the op itself, in both passes.

use crate::kernels::cpu::math::sigmoid;
use crate::kernels::cpu::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::assignment::{Positive, Scene};
use crate::ops::detect::{BEHIND, softplus};
use crate::ops::detection::{ASPECT, Comparison, Detection, EPSILON, aspect, trade_off};

/// Inputs: prediction, target, presence.
fn scene<'a>(inputs: &[Input<'a>], shapes: &Shapes) -> (Scene<'a>, &'a [f32]) {
    let [prediction, target, present] = [0, 1, 2].map(|i| inputs[i].numbers());
    let (dims, boxes) = (&shapes.inputs[0], shapes.inputs[1][1]);
    (Scene { prediction, target, cells: dims[1], classes: dims[2] - BEHIND, boxes }, present)
}

/// The binary cross-entropy of a logit with a probability, and its slope.
fn bce(x: f32, target: f64) -> (f64, f64) {
    (f64::from(softplus(x)) - target * f64::from(x), f64::from(sigmoid(x)) - target)
}

/// `1 − CIoU`, and its slope for each corner.
fn one_minus_ciou(predicted: [f32; 4], truth: [f32; 4]) -> (f64, [f64; 4]) {
    let (a, b) = (predicted.map(f64::from), truth.map(f64::from));
    let size = |b: [f64; 4], k: usize| b[k + 2] - b[k];
    let meet = [0, 1].map(|k| (a[k + 2].min(b[k + 2]) - a[k].max(b[k])).max(0.0));
    let both = meet[0] * meet[1];
    let union = size(a, 0) * size(a, 1) + size(b, 0) * size(b, 1) - both + EPSILON;
    let apart = [0, 1].map(|k| (a[k] + a[k + 2] - b[k] - b[k + 2]) / 2.0);
    let around = [0, 1].map(|k| a[k + 2].max(b[k + 2]) - a[k].min(b[k]));
    let (centres, diagonal) =
        (apart[0] * apart[0] + apart[1] * apart[1], around[0] * around[0] + around[1] * around[1] + EPSILON);
    let (alpha, (v, angle)) = (trade_off(predicted, truth), aspect(predicted, truth));
    let value = 1.0 - both / union + centres / diagonal + alpha * v;
    let [width, height] = [size(a, 0), size(a, 1)];
    let turn = 2.0 * ASPECT * alpha * angle / (width * width + height * height);
    let slope = |corner: usize| {
        // The axis, the other axis, and whether the corner is the far one.
        let (k, other, is_far) = (corner % 2, 1 - corner % 2, corner >= 2);
        let sign = if is_far { 1.0 } else { -1.0 };
        let inside = if is_far { a[corner] < b[corner] } else { a[corner] > b[corner] };
        let outside = if is_far { a[corner] > b[corner] } else { a[corner] < b[corner] };
        let of_both = if inside && meet[0] > 0.0 && meet[1] > 0.0 { sign * meet[other] } else { 0.0 };
        let of_union = sign * size(a, other) - of_both;
        let of_iou = (of_both * union - both * of_union) / (union * union);
        let of_diagonal = if outside { sign * 2.0 * around[k] } else { 0.0 };
        let of_centres = (apart[k] * diagonal - centres * of_diagonal) / (diagonal * diagonal);
        let of_aspect = sign * turn * if k == 0 { height } else { -width };
        -of_iou + of_centres + of_aspect
    };
    (value, [0, 1, 2, 3].map(slope))
}

impl Kernel for Detection {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (scene, present) = scene(inputs, shapes);
        let Comparison { cells, positives, targets, weights } = self.compare(&scene, present);
        let nothing = |cell: &usize| -> f64 {
            scene.answer(*cell)[..scene.classes].iter().map(|x| f64::from(softplus(*x))).sum::<f64>()
        };
        let mut class: f64 = cells.iter().map(nothing).sum();
        let (mut far, mut quality) = (0.0, 0.0);
        for p in &positives {
            let answer = scene.answer(p.cell);
            class -= p.target * f64::from(answer[p.class]);
            far += p.weight * one_minus_ciou(scene.corners(p.cell), p.truth).0;
            quality += p.weight * bce(answer[scene.classes], p.iou).0;
        }
        let boxes = (self.box_weight * far + self.quality_weight * quality) / weights;
        output[0] = (self.class_weight * class / targets + boxes) as f32;
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        let (scene, present) = scene(call.inputs, call.shapes);
        let compared = self.compare(&scene, present);
        if !dx.add {
            dx.data.fill(0.0);
        }
        let dy = f64::from(call.cotangent[0]);
        let (width, classes) = (scene.width(), scene.classes);
        let class = dy * self.class_weight / compared.targets;
        for &cell in &compared.cells {
            let logits = &scene.answer(cell)[..classes];
            let own = &mut dx.data[cell * width..][..classes];
            own.iter_mut().zip(logits).for_each(|(dx, x)| *dx += (class * f64::from(sigmoid(*x))) as f32);
        }
        for p in &compared.positives {
            let Positive { cell, truth, iou, .. } = *p;
            let own = &mut dx.data[cell * width..][..width];
            own[p.class] -= (class * p.target) as f32;
            let share = dy * p.weight / compared.weights;
            own[classes] += (share * self.quality_weight * bce(scene.answer(cell)[classes], iou).1) as f32;
            let slopes = one_minus_ciou(scene.corners(cell), truth).1;
            own[classes + 1..].iter_mut().zip(slopes).for_each(|(dx, s)| *dx += (share * self.box_weight * s) as f32);
        }
    }
}
