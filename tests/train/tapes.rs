//! The reference engine's one tape: fan-out, values read twice, and what stays off it.

use mtlc::base::{Source, Type};
use mtlc::data::{Array, Batch};
use mtlc::engine::{ENGINES, Noise, Weights};
use mtlc::graph::{Builder, Graph, Init, Mode, Purpose, Role};
use mtlc::model::Spec;
use mtlc::ops::{add::Add, mse::Mse, mul::Mul};
use mtlc::plan::Graphs;
use std::path::Path;

const NOISE: Noise = Noise { seed: 0, step: 0 };

fn batch() -> Batch {
    let numbers = |n: usize, scale: f32| (0..n).map(|i| ((i * 7919 % 23) as f32 - 11.0) * scale).collect::<Vec<f32>>();
    Batch {
        size: 5,
        values: [
            ("x".to_string(), Array::F32 { dims: vec![5, 3], data: numbers(15, 0.1) }),
            ("a".into(), Array::F32 { dims: vec![5, 1], data: numbers(5, 0.2) }),
            ("b".into(), Array::F32 { dims: vec![5, 1], data: numbers(5, -0.3) }),
        ]
        .into_iter()
        .collect(),
        present: [("a".to_string(), vec![1.0; 5]), ("b".into(), vec![1.0, 0.0, 1.0, 1.0, 0.0])].into_iter().collect(),
    }
}

/// The gradient of every trained parameter, the same from every engine.
fn gradient(graph: &Graph, weights: &Weights, batch: &Batch) -> indexmap::IndexMap<String, Vec<f32>> {
    let mut all = ENGINES.iter().map(|engine| {
        let mut session = engine.session(graph);
        session.backward(weights, batch, NOISE, &[], graph.objective().as_slice());
        let mut own = indexmap::IndexMap::new();
        session.gradients(&mut |path, g| own.extend(g[0].as_ref().map(|g| (path.to_string(), g.to_vec()))));
        own
    });
    let first = all.next().expect("there is an engine");
    for other in all {
        assert_eq!(first.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (path, g) in &first {
            let near = g.iter().zip(&other[path]).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0));
            assert!(near, "{path}: {g:?} against {:?}", other[path]);
        }
    }
    first
}

fn gradients(minimize: &str) -> indexmap::IndexMap<String, Vec<f32>> {
    let text = format!(
        "model m\ninput x: f32[3]\ntarget a: f32[1]\ntarget b: f32[1]\nbackbone trunk(x) = linear(4) -> tanh\n\
         head one(trunk) = linear(1)\nhead two(trunk) = linear(1)\n\
         minimize {minimize}\ntrain {{ epochs: 1 }}"
    );
    let spec = Spec::of(Source::new("m.mtl", text), Path::new(""), &[]).expect("the spec is right");
    let graph = Graphs::of(&spec.model).expect("the spec is right").train;
    gradient(&graph, &Weights::initial(&graph, 3), &batch())
}

#[test]
fn heads_that_share_a_trunk_sum_their_gradients() {
    let both = gradients("2 * mse(one, a) + 0.5 * huber(two, b)");
    // One head at a time, the other with next to no weight, since a head needs a loss.
    let first = gradients("2 * mse(one, a) + 1e-7 * huber(two, b)");
    let second = gradients("1e-7 * mse(one, a) + 0.5 * huber(two, b)");
    for i in 0..both["trunk.0.weight"].len() {
        let sum = first["trunk.0.weight"][i] + second["trunk.0.weight"][i];
        let whole = both["trunk.0.weight"][i];
        assert!((sum - whole).abs() < 1e-5 * (1.0 + whole.abs()), "{sum} against {whole}");
    }
    assert!(both["trunk.0.weight"].iter().any(|g| g.abs() > 1e-3), "the gradient is not simply zero");
}

/// `y = (p + p) · p` has the gradient `4 p`, which dfdx loses when one tensor is given to an op twice.
#[test]
fn a_value_read_twice_by_one_op_gets_both_gradients() {
    let mut builder = Builder::new("twice", Mode::Train);
    let p = builder.parameter("p", &[3], Init::Uniform(1.0), Role::Trained, "test");
    let x = builder.input("x", Type::batched(mtlc::base::DType::F32, &[3]));
    let doubled = builder.op(Add {}, &[p, p], "y").expect("same types");
    let product = builder.op(Mul {}, &[doubled, p], "y").expect("same types");
    let y = builder.op(Mul {}, &[x, product], "y").expect("a parameter over a batch");
    let target = builder.target("t", Type::batched(mtlc::base::DType::F32, &[3]));
    let presence = builder.presence("t");
    let loss = builder.op(Mse {}, &[y, target, presence], "loss").expect("same types");
    builder.output("objective", Purpose::Objective, loss);
    let graph = builder.finish();
    mtlc::graph::verify(&graph).expect("a sound graph");
    let mut batch = batch();
    batch.values.insert("x".into(), Array::F32 { dims: vec![5, 3], data: vec![1.0; 15] });
    batch.values.insert("t".into(), Array::F32 { dims: vec![5, 3], data: vec![0.0; 15] });
    batch.present.insert("t".into(), vec![1.0; 5]);
    let weights = Weights::initial(&graph, 1);
    let gradient = &gradient(&graph, &weights, &batch)["p"];
    for (p, g) in weights.get("p").data.iter().zip(gradient) {
        // The loss is the mean of (2p²)² over three elements.
        let expected = 16.0 * p.powi(3) / 3.0;
        assert!((g - expected).abs() < 1e-5, "{g} against {expected}");
    }
}

#[test]
fn what_is_frozen_is_not_taped() {
    let text = "model m\ninput x: f32[3]\ntarget a: f32[1]\nbackbone trunk(x) = linear(4) -> norm -> dropout(0.5)\n\
                freeze trunk\nhead one(trunk) = linear(1)\nminimize mse(one, a)";
    let spec = Spec::of(Source::new("m.mtl", text), Path::new(""), &[]).expect("the spec is right");
    let graph = Graphs::of(&spec.model).expect("the spec is right").train;
    let below: Vec<_> = graph.values.iter().filter(|v| v.path.starts_with("trunk")).collect();
    assert!(below.len() > 5 && below.iter().all(|v| !v.taped), "{below:?}");
    assert!(graph.updates.is_empty(), "a frozen norm's statistics stay");
    let masks = graph
        .values
        .iter()
        .any(|v| matches!(&v.definition, mtlc::graph::Definition::Leaf(mtlc::graph::Leaf::Mask { .. })));
    assert!(!masks, "frozen dropout is off");
    let gradients = gradient(&graph, &Weights::initial(&graph, 0), &batch());
    assert_eq!(gradients.keys().collect::<Vec<_>>(), ["one.weight", "one.bias"]);
}

#[test]
fn parameters_begin_by_their_path_whatever_stands_beside_them() {
    let with = |more: &str| {
        let text = format!(
            "model m\ninput x: f32[3]\ntarget a: f32[1]\nbackbone trunk(x) = linear(4) -> tanh\n{more}\
             head one(trunk) = linear(1)\nminimize mse(one, a)"
        );
        let spec = Spec::of(Source::new("m.mtl", text), Path::new(""), &[]).expect("the spec is right");
        Weights::initial(&Graphs::of(&spec.model).expect("the spec is right").train, 5)
    };
    let (alone, beside) = (with(""), with("head more(trunk) = tanh\n"));
    assert_eq!(alone.get("trunk.0.weight"), beside.get("trunk.0.weight"));
    assert_ne!(alone.get("trunk.0.weight").data[..4], alone.get("one.weight").data[..4]);
}
