//! Mixup: the training graph against the same done by hand, to the rows of a batch and to the losses of a graph without it.

use crate::engine::{assert_near, batch, step};
use mtlc::base::Source;
use mtlc::data::{Array, Batch};
use mtlc::engine::{ENGINES, Noise, Weights};
use mtlc::graph::{Graph, Mode};
use mtlc::lower::lower;
use mtlc::model::Spec;
use mtlc::passes;
use std::path::Path;

const SPEC: &str = r#"model mixed

input  image: f32[2, 6, 6]
input  extra: f32[3]
target kind: class[4]
target size: f32[2]
target mask: class[3][6, 6]

backbone trunk(image) = conv(4, 3) -> tanh
head name(trunk)  = flatten -> linear(4)
head much(extra)  = linear(2)
head where(trunk) = conv(3, 1)

minimize cross_entropy(name, kind, smoothing: 0.1) + 0.5 * mse(much, size) + dice(where, mask)
"#;

fn graph(settings: &[&str], mode: Mode) -> Graph {
    let overrides: Vec<String> = settings.iter().map(|s| s.to_string()).collect();
    let spec = Spec::of(Source::new("mixed.mtl", SPEC), Path::new("."), &overrides)
        .unwrap_or_else(|e| panic!("{}", e.diagnostics.render(e.source.as_ref(), false)));
    passes::optimise(lower(&spec.model, mode, 0).expect("the spec is right")).0
}

/// The values of a batch in reverse order of its rows.
fn reversed(array: &Array, size: usize) -> Array {
    fn rows<T: Copy>(data: &[T], size: usize) -> Vec<T> {
        data.chunks(data.len() / size).rev().flatten().copied().collect()
    }
    match array {
        Array::F32 { dims, data } => Array::F32 { dims: dims.clone(), data: rows(data, size) },
        Array::I64 { dims, data } => Array::I64 { dims: dims.clone(), data: rows(data, size) },
    }
}

/// The batch with blended inputs, and the same with the labels of the others.
fn by_hand(batch: &Batch, share: f32) -> (Batch, Batch) {
    let mut own = Batch { size: batch.size, values: batch.values.clone(), present: batch.present.clone() };
    for name in ["image", "extra"] {
        let Array::F32 { data: other, .. } = reversed(&batch.values[name], batch.size) else { panic!("numbers") };
        let Some(Array::F32 { data, .. }) = own.values.get_mut(name) else { panic!("numbers") };
        data.iter_mut().zip(other).for_each(|(x, other)| *x = share * *x + (1.0 - share) * other);
    }
    let mut others = Batch { size: batch.size, values: own.values.clone(), present: batch.present.clone() };
    for name in ["kind", "size", "mask"] {
        others.values.insert(name.into(), reversed(&batch.values[name], batch.size));
        others.present.get_mut(name).expect("a target").reverse();
    }
    (own, others)
}

/// Labels are missing, and missing for other rows after the reversal; the batch is odd.
#[test]
fn mixup_blends_inputs_and_losses() {
    let (mixed, plain) = (graph(&["train.mixup=0.4"], Mode::Train), graph(&[], Mode::Train));
    let spec = Spec::of(Source::new("mixed.mtl", SPEC), Path::new("."), &[]).expect("the spec is right");
    let weights = Weights::initial(&mixed, 3);
    let mut shares = vec![];
    for at in 0..6 {
        let mut rows = batch(&spec.model, 5, at);
        rows.present["kind"][1] = 0.0;
        rows.present["size"][4] = 0.0;
        let share = Noise { seed: 9, step: at }.share(0.4);
        shares.push(share);
        let (own, others) = by_hand(&rows, share);
        for engine in ENGINES {
            let (values, gradients) = step(*engine, &mixed, &weights, &rows, at);
            let (own_values, own_gradients) = step(*engine, &plain, &weights, &own, at);
            let (other_values, other_gradients) = step(*engine, &plain, &weights, &others, at);
            // Losses and objective are blended; heads answer for the blended rows.
            for (i, output) in mixed.outputs.iter().enumerate() {
                let blend = |a: &f32, b: &f32| share * a + (1.0 - share) * b;
                let want: Vec<f32> = own_values[i].iter().zip(&other_values[i]).map(|(a, b)| blend(a, b)).collect();
                assert_near(&output.name, &values[i], &want, 1e-5);
            }
            for (((path, got), (_, a)), (_, b)) in gradients.iter().zip(&own_gradients).zip(&other_gradients) {
                let want: Vec<f32> = a.iter().zip(b).map(|(a, b)| share * a + (1.0 - share) * b).collect();
                assert_near(path, got, &want, 1e-5);
            }
        }
    }
    assert!(shares.iter().all(|s| (0.0..=1.0).contains(s)), "{shares:?}");
    assert!(shares.windows(2).all(|pair| pair[0] != pair[1]), "{shares:?}");
}

#[test]
fn what_is_measured_is_not_mixed() {
    assert_eq!(graph(&["train.mixup=0.4"], Mode::Eval), graph(&[], Mode::Eval));
}

/// The mean of Beta(a, a) is one half, and its variance 1 / (8a + 4).
#[test]
fn shares_are_of_a_beta_distribution() {
    for alpha in [0.2, 1.0, 4.0] {
        let draws: Vec<f64> = (0..4000).map(|step| f64::from(Noise { seed: 1, step }.share(alpha))).collect();
        let mean = draws.iter().sum::<f64>() / 4000.0;
        let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 4000.0;
        let want = 1.0 / (8.0 * alpha + 4.0);
        assert!((mean - 0.5).abs() < 0.03 && (variance / want - 1.0).abs() < 0.08, "{alpha}: {mean} {variance} {want}");
    }
}
