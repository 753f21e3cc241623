//! Architectures that share between tasks, against PyTorch: what heads answer, the objective, and every gradient, on both engines.
//! `goldens/make_sharing.py` made the numbers.

use crate::engine::{assert_near, step};
use mtlc::base::Source;
use mtlc::data::{Array, Batch};
use mtlc::engine::{ENGINES, Weights};
use mtlc::graph::Purpose;
use mtlc::model::Spec;
use mtlc::plan::Graphs;
use mtlc::weights::TensorFile;
use std::path::Path;

/// Three experts that two tasks mix, each by its own gate.
const EXPERTS: &str = "model experts
input x: f32[5]
target a: f32[1]
target b: f32[2]
block expert(width) = linear(width) -> tanh
backbone experts(x) = concat(expert(4), expert(4), expert(4))
backbone gate_a(x) = linear(3)
backbone gate_b(x) = linear(3)
head first(gate_a, experts)  = mixture(3) -> linear(1)
head second(gate_b, experts) = mixture(3) -> linear(2)
minimize mse(first, a) + 0.5 * mse(second, b)
";

/// Cross-stitch units of both kinds on vectors and on maps of an odd shape, with products and sums of parts.
const STITCHED: &str = "model stitched
input x: f32[4]
input image: f32[2, 3, 5]
target a: f32[1]
target b: f32[2]
target c: f32[1]
backbone one(x) = linear(3) -> tanh
backbone two(x) = linear(3) -> tanh
backbone both(one, two) = stitch(2)
head first(both)  = slice(0, 3) -> linear(1)
head second(both) = slice(3, 6) -> stitch(3, by: part) -> linear(2)
backbone wide(image)   = conv(3, 3)
backbone narrow(image) = conv(3, 1)
backbone maps(wide, narrow) = stitch(2) -> stitch(3, by: part)
head third(maps) = product(2) -> sum(3) -> global_pool -> linear(1)
minimize mse(first, a) + mse(second, b) + 2 * mse(third, c)
";

fn spec(text: &str) -> Spec {
    Spec::of(Source::new("sharing.mtl", text), Path::new(""), &[])
        .unwrap_or_else(|wrong| panic!("{}", wrong.diagnostics.render(wrong.source.as_ref(), false)))
}

fn agrees(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/sharing.safetensors");
    let golden = TensorFile::read(&path).expect("the goldens are whole").tensors;
    let told = |key: &str| golden.get(&format!("{name}/{key}")).unwrap_or_else(|| panic!("no golden {name}/{key}"));
    let spec = spec(text);
    let graphs = Graphs::of(&spec.model).expect("the spec is right");
    let mut weights = Weights::initial(&graphs.train, 0);
    let paths: Vec<String> = graphs.train.parameters.keys().cloned().collect();
    for path in &paths {
        weights.get_mut(path).clone_from(told(&format!("weights/{path}")));
    }
    let size = told("rows/x").dims[0];
    let mut batch = Batch { size, values: Default::default(), present: Default::default() };
    for port in spec.model.inputs.iter().chain(&spec.model.targets) {
        let rows = told(&format!("rows/{}", port.name)).clone();
        batch.values.insert(port.name.clone(), Array::F32 { dims: rows.dims, data: rows.data });
    }
    for target in &spec.model.targets {
        batch.present.insert(target.name.clone(), vec![1.0; size]);
    }
    for engine in ENGINES {
        let (values, gradients) = step(*engine, &graphs.train, &weights, &batch, 0);
        for (output, value) in graphs.train.outputs.iter().zip(&values) {
            let key = match output.purpose {
                Purpose::Head => format!("answers/{}", output.name),
                Purpose::Objective => "objective".into(),
                Purpose::Loss => continue,
            };
            assert_near(&format!("{key} on {}", engine.name()), value, &told(&key).data, 1e-5);
        }
        assert_eq!(gradients.len(), paths.len(), "every parameter of {name} is trained");
        for (path, gradient) in &gradients {
            let golden = &told(&format!("gradients/{path}")).data;
            assert_near(&format!("gradient of {path} on {}", engine.name()), gradient, golden, 1e-5);
        }
    }
}

#[test]
fn a_mixture_of_experts_is_that_of_pytorch() {
    agrees("experts", EXPERTS);
}

#[test]
fn cross_stitch_units_are_those_of_pytorch() {
    agrees("stitched", STITCHED);
}

/// A unit begins with its own share of each part, whatever the seed, and the shares add up to one.
#[test]
fn a_stitch_begins_near_the_identity() {
    let spec = spec(STITCHED);
    let graphs = Graphs::of(&spec.model).expect("the spec is right");
    let weights = Weights::initial(&graphs.train, 3);
    let first = |path: &str| weights.iter().find(|(p, _)| *p == path).expect("a parameter").1.data.clone();
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near(&first("both.weight")[..8], &[0.9, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.9]));
    assert!(near(&first("second.1.weight"), &[0.9, 0.05, 0.05, 0.05, 0.9, 0.05, 0.05, 0.05, 0.9]));
}

/// No row in, no row out: an evaluation of nothing is no fault.
#[test]
fn no_rows_are_mixed_and_stitched() {
    for text in [EXPERTS, STITCHED] {
        let spec = spec(text);
        let graphs = Graphs::of(&spec.model).expect("the spec is right");
        let weights = Weights::initial(&graphs.train, 0);
        let batch = crate::engine::batch(&spec.model, 0, 1);
        for engine in ENGINES {
            let heads: Vec<_> = graphs.serve.outputs.iter().map(|o| o.value).collect();
            let mut session = engine.session(&graphs.serve);
            session.forward(&weights, &batch, &heads);
            assert!((0..heads.len()).all(|n| session.result(n).is_empty()), "{}", engine.name());
        }
    }
}

/// The mean of parts is that of each value of theirs, of a vector and of a map.
#[test]
fn members_of_an_ensemble_are_averaged() {
    let spec = spec(
        "model m\ninput x: f32[6]\ninput map: f32[4, 1, 2]\ntarget y: f32[2]\nhead vector(x) = mean(3)\nhead maps(map) = mean(2)\n\
         head learns(x) = linear(2)\nminimize mse(learns, y)\n",
    );
    let graphs = Graphs::of(&spec.model).expect("the spec is right");
    let weights = Weights::initial(&graphs.train, 0);
    let numbers = |dims: &[usize], data: &[f32]| Array::F32 { dims: dims.to_vec(), data: data.to_vec() };
    let mut batch = Batch { size: 1, values: Default::default(), present: Default::default() };
    batch.values.insert("x".into(), numbers(&[1, 6], &[1.0, 2.0, 4.0, 8.0, 1.0, -1.0]));
    batch.values.insert("map".into(), numbers(&[1, 4, 1, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 0.0]));
    for engine in ENGINES {
        let head = |name: &str| graphs.serve.output(name, Purpose::Head).expect("a head").value;
        let mut session = engine.session(&graphs.serve);
        session.forward(&weights, &batch, &[head("vector"), head("maps")]);
        assert_near("the mean of vectors", session.result(0), &[2.0, 3.0], 1e-6);
        assert_near("the mean of maps", session.result(1), &[3.0, 4.0, 5.5, 2.0], 1e-6);
    }
}
