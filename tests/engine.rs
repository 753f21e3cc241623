//! Engines: every example spec trains a few steps on each, from the same weights and batches, and they agree.

use mtlc::base::DType;
use mtlc::data::{Array, Batch};
use mtlc::engine::{ENGINES, Engine, Noise, Weights};
use mtlc::graph::{Definition, Graph, Purpose, ValueId};
use mtlc::model::{Model, Port, Spec};
use mtlc::ops::epilogue::Activation;
use mtlc::ops::{Op, avg_pool2d::AvgPool2d, max_pool2d::MaxPool2d, tanh::Tanh};
use mtlc::plan::Graphs;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows of random values of the model's types; some labels are missing.
pub fn batch(model: &Model, size: usize, seed: u64) -> Batch {
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

/// The graph with its kinks smoothed: at a kink two engines that differ in the last bit may take different sides, and then
/// their gradients are both right and far apart. What kernels do at kinks is tested op by op.
pub fn smooth(mut graph: Graph) -> Graph {
    for value in &mut graph.values {
        let Definition::Op { op, .. } = &mut value.definition else { continue };
        if let Some(f) = op.epilogue_mut().and_then(|epilogue| epilogue.activation.as_mut())
            && matches!(
                f,
                Activation::Relu
                    | Activation::Relu6
                    | Activation::LeakyRelu(_)
                    | Activation::Hardsigmoid
                    | Activation::Hardswish
            )
        {
            *f = Activation::Tanh;
        }
        *op = match op.clone() {
            Op::Relu(_) | Op::Relu6(_) | Op::LeakyRelu(_) | Op::Hardswish(_) => Tanh {}.into(),
            Op::MaxPool2d(MaxPool2d { kernel, stride, padding }) => {
                AvgPool2d { kernel, stride, padding, count_padding: true }.into()
            }
            other => other,
        };
    }
    mtlc::graph::verify(&graph).expect("the smooth ops have the same types");
    graph
}

/// Two engines agree when their numbers differ by at most this share of the largest number in the tensor, or of 0.01 where all
/// are smaller: a gradient that a norm behind it cancels is rounding alone.
const TOLERANCE: f32 = 2e-4;

/// How far apart the weights of two engines may be, as a share of the largest in the tensor or of 0.01, when each has moved its
/// own by its own gradients: every step adds a rounding of its own, and moves on from what the last ones left.
const DRIFT: f32 = 2e-3;

/// Fails unless the numbers differ by at most this share of the largest.
pub fn assert_near(what: &str, a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len(), "{what}");
    let scale = b.iter().fold(1e-2f32, |most, x| most.max(x.abs()));
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "{what}: element {i} is {a} here and {b} there, of {scale}");
    }
}

/// What each engine makes of one step: the outputs, and the gradients by path.
pub type Step = (Vec<Vec<f32>>, Vec<(String, Vec<f32>)>);

pub fn step(engine: &dyn Engine, graph: &Graph, weights: &Weights, batch: &Batch, step: u64) -> Step {
    let wanted: Vec<ValueId> = graph.outputs.iter().map(|o| o.value).collect();
    let mut session = engine.session(graph);
    let objective = graph.objective();
    session.backward(weights, batch, Noise { seed: 9, step }, &wanted, objective.as_slice());
    let values = (0..wanted.len()).map(|n| session.result(n).to_vec()).collect();
    let mut gradients = vec![];
    session.gradients(&mut |path, g| gradients.extend(g[0].as_ref().map(|g| (path.to_string(), g.to_vec()))));
    (values, gradients)
}

#[test]
fn every_spec_trains_alike_on_every_engine() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let mut specs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    specs.retain(|p| p.extension().is_some_and(|e| e == "mtl"));
    specs.sort();
    assert!(specs.len() >= 12);
    for path in specs {
        let spec =
            Spec::read(&path, &[]).unwrap_or_else(|e| panic!("{}", e.diagnostics.render(e.source.as_ref(), false)));
        let graph = smooth(Graphs::of(&spec.model).expect("the spec is right").train);
        // The definitions are slow where images are large: the larger the graph, the fewer steps and rows.
        let (size, steps) = match graph.flops() {
            0..=20_000_000 => (7, 20),
            20_000_001..=1_000_000_000 => (3, 3),
            _ => (2, 1),
        };
        let (reference, others) = ENGINES.split_last().expect("there is a reference engine");
        let weights = Weights::initial(&graph, 4);
        // Each engine has weights of its own, and moves them by its own gradients.
        let (mut theirs, mut own) = (weights.clone(), vec![weights; others.len()]);
        for at in 0..steps {
            let batch = batch(&spec.model, size, at);
            let (values, gradients) = step(*reference, &graph, &theirs, &batch, at);
            let name = format!("{} step {at}", path.file_name().unwrap().to_string_lossy());
            // In the first step the weights are equal, and what differs is rounding; later the weights differ, too.
            let tolerance = if at == 0 { TOLERANCE } else { DRIFT };
            for (engine, own) in others.iter().zip(&mut own) {
                let (own_values, own_gradients) = step(*engine, &graph, own, &batch, at);
                for ((a, b), output) in own_values.iter().zip(&values).zip(&graph.outputs) {
                    assert_near(&format!("{name}: {}", output.name), a, b, tolerance);
                }
                assert_eq!(own_gradients.len(), gradients.len());
                for ((path, a), (_, b)) in own_gradients.iter().zip(&gradients) {
                    assert_near(&format!("{name}: the gradient of {path}"), a, b, tolerance);
                }
                descend(own, &own_gradients);
            }
            descend(&mut theirs, &gradients);
            for own in &own {
                for ((path, a), (_, b)) in own.iter().zip(theirs.iter()) {
                    assert_near(&format!("{name}: {path} after it"), &a.data, &b.data, DRIFT);
                }
            }
        }
    }
}

fn descend(weights: &mut Weights, gradients: &[(String, Vec<f32>)]) {
    for (path, gradient) in gradients {
        let parameter = &mut weights.get_mut(path).data;
        parameter.iter_mut().zip(gradient).for_each(|(w, g)| *w -= 0.01 * g);
    }
}

/// The setting `winograd` reaches the convolutions of a training step, in both directions and for trained and frozen filters, and
/// those of a forward pass do not depend on it.
#[test]
fn winograd_in_training_is_what_the_spec_allows() {
    let text = "model m\ninput image: f32[32, 16, 16]\ntarget kind: class[3]\n\
        backbone held(image) = conv(32, 3)\nbackbone trunk(held) = conv(64, 3) -> conv(32, 3) -> global_pool\nfreeze held\n\
        head label(trunk) = linear(3)\nminimize cross_entropy(label, kind)\n";
    let planned = mtlc::engine::find("planned").expect("an engine");
    let spec = |winograd: &str| {
        let text = format!("{text}train {{ winograd: {winograd} }}\n");
        Spec::of(mtlc::base::Source::new("m.mtl", text), std::path::Path::new(""), &[]).expect("the spec is right")
    };
    let run = |winograd: &str| {
        let spec = spec(winograd);
        let graphs = Graphs::of(&spec.model).expect("the spec is right");
        let (weights, batch) = (Weights::initial(&graphs.train, 4), batch(&spec.model, 16, 1));
        let wanted: Vec<ValueId> = graphs.serve.outputs.iter().map(|o| o.value).collect();
        let mut session = planned.session(&graphs.serve);
        session.forward(&weights, &batch, &wanted);
        (session.result(0).to_vec(), step(planned, &graphs.train, &weights, &batch, 0))
    };
    let [off, two, four] = ["off", "f2", "f4"].map(run);
    assert!(off.0 == two.0 && off.0 == four.0, "an answer depends on a setting of training");
    for (other, name) in [(&two, "f2"), (&four, "f4")] {
        assert_ne!(off.1.0, other.1.0, "{name} computes nothing by tiles");
        for ((path, a), (_, b)) in off.1.1.iter().zip(&other.1.1) {
            assert_near(&format!("{name}: the gradient of {path}"), a, b, TOLERANCE);
        }
    }
    assert_ne!(two.1, four.1, "tiles of one size alone");
}

/// The gradient of a parameter. What an objective does not reach may be left out.
fn of<'a>(gradients: &'a [(String, Vec<f32>)], path: &str) -> Option<&'a Vec<f32>> {
    gradients.iter().find(|(found, _)| found == path).map(|(_, gradient)| gradient)
}

/// Every loss by itself over one forward pass, as a balancer that looks at the gradients of single tasks needs them: both engines
/// agree on each, on the objective beside them, and where the objective is a weighted sum, so is its gradient.
#[test]
fn several_objectives_have_gradients_of_their_own() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let cases = ["tumour", "missing", "flare", "both"].into_iter().flat_map(|name| [(name, false), (name, true)]);
    for (name, summed) in cases {
        let text = std::fs::read_to_string(folder.join(format!("{name}.mtl"))).expect("an example");
        let text = if summed { text.replace("\nbalance  uncertainty\n", "\n") } else { text };
        let spec = Spec::of(mtlc::base::Source::new("m.mtl", text), &folder, &[]);
        let spec = spec.unwrap_or_else(|_| panic!("{name} is wrong"));
        let graph = smooth(Graphs::of(&spec.model).expect("the spec is right").train);
        let losses = graph.outputs.iter().filter(|o| o.purpose == Purpose::Loss);
        let (names, mut objectives): (Vec<&str>, Vec<ValueId>) = losses.map(|o| (o.name.as_str(), o.value)).unzip();
        assert!(names.len() > 1, "{name} has one task");
        objectives.insert(0, graph.objective().expect("a training step has an objective"));
        let (weights, rows) = (Weights::initial(&graph, 4), batch(&spec.model, 5, 2));
        let gradients = |engine: &dyn Engine| -> Vec<Vec<(String, Vec<f32>)>> {
            let mut session = engine.session(&graph);
            session.backward(&weights, &rows, Noise { seed: 9, step: 0 }, &objectives, &objectives);
            let mut one = |i: usize| {
                let mut found = vec![];
                session.gradients(&mut |path, g| found.extend(g[i].as_ref().map(|g| (path.to_string(), g.to_vec()))));
                found
            };
            (0..objectives.len()).map(&mut one).collect()
        };
        let [ours, theirs] =
            ["planned", "dfdx"].map(|engine| gradients(mtlc::engine::find(engine).expect("an engine")));
        for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert!(ours.iter().any(|(_, g)| g.iter().any(|g| *g != 0.0)), "{name}: objective {i} has no gradient");
            for (path, b) in theirs {
                let zeros = vec![0.0; b.len()];
                let a = of(ours, path).unwrap_or(&zeros);
                assert_near(&format!("{name}: objective {i}, the gradient of {path}"), a, b, TOLERANCE);
            }
        }
        assert_ne!(ours[1], ours[2], "{name}: two tasks have the same gradients");
        assert_eq!(spec.model.balance.signature.name == "uniform", summed, "{name}");
        if !summed {
            continue;
        }
        let weight = |loss: &str| spec.model.terms.iter().find(|t| t.name == loss).expect("a term").weight as f32;
        for (path, whole) in &ours[0] {
            let mut sum = vec![0.0f32; whole.len()];
            for (loss, gradients) in names.iter().zip(&ours[1..]) {
                let Some(gradient) = of(gradients, path) else { continue };
                sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += weight(loss) * g);
            }
            assert_near(&format!("{name}: the sum of the gradients of {path}"), &sum, whole, TOLERANCE);
        }
    }
}
