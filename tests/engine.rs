//! Engines: every example spec trains a few steps on each, from the same weights and batches, and they agree.

use mtlc::base::DType;
use mtlc::data::{Array, Batch};
use mtlc::engine::{ENGINES, Noise, Weights};
use mtlc::graph::ValueId;
use mtlc::model::{Model, Port, Spec};
use mtlc::plan::Graphs;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows of random values of the model's types; some labels are missing.
fn batch(model: &Model, size: usize, seed: u64) -> Batch {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut batch = Batch { size, values: Default::default(), present: Default::default() };
    let mut array = |port: &Port, positive: bool| {
        let (dims, n) = (port.ty.ty.at(size), port.ty.ty.elements(size));
        match port.ty.ty.dtype {
            DType::F32 => {
                let low = if positive { 0.1 } else { -1.0 };
                Array::F32 { dims, data: (0..n).map(|_| rng.gen_range(low..1.0f32)).collect() }
            }
            DType::I64 => {
                let classes = port.ty.classes.as_ref().map(|c| c.count);
                let below = classes.or(port.ty.vocabulary).expect("indices have a bound");
                Array::I64 { dims, data: (0..n).map(|_| rng.gen_range(0..below) as i64).collect() }
            }
        }
    };
    for port in &model.inputs {
        batch.values.insert(port.name.clone(), array(port, false));
    }
    for port in &model.targets {
        batch.values.insert(port.name.clone(), array(port, true));
    }
    for (i, port) in model.targets.iter().enumerate() {
        let present = (0..size).map(|row| f32::from(u8::from(size == 1 || (row + i) % 4 != 0)));
        batch.present.insert(port.name.clone(), present.collect());
    }
    batch
}

/// Two numbers agree within this share of the larger one, or of the largest in their tensor.
const TOLERANCE: f32 = 2e-4;

fn assert_agree(what: &str, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}");
    let scale = b.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= TOLERANCE * scale, "{what}: element {i} is {a} on one engine and {b} on another");
    }
}

#[test]
fn every_spec_trains_alike_on_every_engine() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let mut specs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    specs.retain(|p| p.extension().is_some_and(|e| e == "mtl"));
    specs.sort();
    assert!(specs.len() >= 3);
    for path in specs {
        let spec =
            Spec::read(&path, &[]).unwrap_or_else(|e| panic!("{}", e.diagnostics.render(e.source.as_ref(), false)));
        let graph = Graphs::of(&spec.model).expect("the spec is right").train;
        // The definitions are slow where images are large; two rows are enough for every moment to be one of a batch.
        let size = if graph.flops() > 100_000_000 { 2 } else { 7 };
        let wanted: Vec<ValueId> = graph.outputs.iter().map(|o| o.value).collect();
        let mut states: Vec<Weights> = ENGINES.iter().map(|_| Weights::initial(&graph, 4)).collect();
        for step in 0..if size == 2 { 1 } else { 3 } {
            let batch = batch(&spec.model, size, step);
            let mut results = vec![];
            for (engine, weights) in ENGINES.iter().zip(&mut states) {
                let mut session = engine.session(&graph);
                let values = session.backward(weights, &batch, Noise { seed: 9, step }, &wanted);
                let gradients: Vec<(String, Vec<f32>)> =
                    session.gradients().into_iter().map(|(path, g)| (path.to_string(), g.to_vec())).collect();
                for (path, gradient) in &gradients {
                    let parameter = &mut weights.get_mut(path).data;
                    parameter.iter_mut().zip(gradient).for_each(|(w, g)| *w -= 0.01 * g);
                }
                results.push((values, gradients));
            }
            let name = path.file_name().unwrap().to_string_lossy();
            let (reference, others) = results.split_last().unwrap();
            for (values, gradients) in others {
                for ((a, b), output) in values.iter().zip(&reference.0).zip(&graph.outputs) {
                    assert_agree(&format!("{name} step {step}: {}", output.name), a, b);
                }
                for ((path, a), (_, b)) in gradients.iter().zip(&reference.1) {
                    assert_agree(&format!("{name} step {step}: the gradient of {path}"), a, b);
                }
            }
        }
    }
}
