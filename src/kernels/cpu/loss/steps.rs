//! `ordinal`: binary cross-entropy over the steps between ordered classes.

use super::labelled;
use crate::kernels::cpu::math::sigmoid;
use crate::kernels::cpu::{Backward, Gradient, Input, Kernel, Shapes};
use crate::ops::ordinal::Ordinal;

/// Every logit of the elements that count: where it stands, its sign, which is 1 where the class lies above its step, and it.
fn logits<'a>(inputs: &[Input<'a>], shapes: &Shapes) -> impl Iterator<Item = (usize, f32, f32)> + Clone + 'a {
    let (x, ids, present) = (inputs[0].numbers(), inputs[1].ids(), inputs[2].numbers());
    let (steps, inner) = match shapes.inputs[0][..] {
        [_, steps, h, w] => (steps, h * w),
        [.., steps] => (steps, 1),
        [] => unreachable!("the signature asks for a batch"),
    };
    let class = move |i: usize| usize::try_from(ids[i]).ok().filter(|&class| class <= steps);
    labelled(present, ids.len()).flatten().filter_map(move |i| Some((i, class(i)?))).flat_map(move |(i, class)| {
        (0..steps).map(move |k| {
            let at = (i / inner * steps + k) * inner + i % inner;
            (at, if class > k { 1.0 } else { -1.0 }, x[at])
        })
    })
}

/// Inputs: prediction, classes, presence.
impl Kernel for Ordinal {
    fn reads(&self, _: usize) -> bool {
        true
    }

    fn forward(&self, inputs: &[Input], shapes: &Shapes, output: &mut [f32]) {
        let (mut sum, mut count) = (0.0f64, 0u64);
        for (_, sign, x) in logits(inputs, shapes) {
            let x = sign * x;
            sum += f64::from((-x.abs()).exp().ln_1p() + if x < 0.0 { -x } else { 0.0 });
            count += 1;
        }
        output[0] = (sum / count.max(1) as f64) as f32;
    }

    fn pullback(&self, call: &Backward, gradients: &mut [Option<Gradient>]) {
        let Some(dx) = &mut gradients[0] else { return };
        if !dx.add {
            dx.data.fill(0.0);
        }
        let logits = logits(call.inputs, call.shapes);
        let scale = call.cotangent[0] / logits.clone().count().max(1) as f32;
        logits.for_each(|(at, sign, x)| dx.data[at] -= scale * sign * sigmoid(-sign * x));
    }
}
