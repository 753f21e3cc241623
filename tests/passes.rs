//! Passes: each changes what it is for, leaves alone what it must, and keeps what the graph means.

mod epilogues;
mod frozen;
mod layout;
mod net;
mod norms;
mod precision;

use super::engine::{assert_near, batch, smooth, step};
use super::specs::{specs_in, stem};
use mtlc::base::Source;
use mtlc::data::{Array, Batch};
use mtlc::engine::{Weights, find};
use mtlc::graph::{Definition, Graph, Leaf, Mode, Purpose, Role, ValueId, print, verify};
use mtlc::lower::lower;
use mtlc::model::{Model, Spec};
use mtlc::ops::{self, Op};
use mtlc::passes::{PASSES, cut, heads, optimise, up_to};
use net::Net;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// What one pass makes of a graph, and what it says.
fn pass(name: &str, graph: &Graph) -> (Graph, String) {
    let pass = PASSES.iter().find(|pass| pass.name == name).expect("a pass of that name");
    let (after, did) = (pass.run)(graph.clone());
    verify(&after).unwrap_or_else(|broken| panic!("{broken}\n{}", print(&after)));
    (after, did)
}

/// Fails if the pass changes anything.
fn assert_untouched(name: &str, graph: &Graph) {
    let (after, did) = pass(name, graph);
    assert_eq!((print(&after), did.as_str()), (print(graph), ""));
}

/// Both graphs as text, and what was said between them, once their outputs were seen to agree.
fn shown(name: &str, graph: &Graph) -> String {
    let (after, did) = pass(name, graph);
    assert_same_outputs(graph, &after);
    format!("{}\n{name}: {did}\n\n{}", print(graph), print(&after))
}

fn count(graph: &Graph, accepts: impl Fn(&Op) -> bool) -> usize {
    graph.values.iter().filter(|v| matches!(&v.definition, Definition::Op { op, .. } if accepts(op))).count()
}

/// Weights in which nothing is 0 or 1: first values are, in norms, and a pass that forgot one would not show.
fn weights(graph: &Graph) -> Weights {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut weights = Weights::initial(graph, 4);
    for (path, _) in graph.parameters.iter().filter(|(_, p)| p.dims.len() == 1) {
        weights.get_mut(path).data.iter_mut().for_each(|w| *w += rng.gen_range(0.0..0.5f32));
    }
    weights
}

/// Three rows for the inputs of a graph, numbers all.
fn rows(graph: &Graph) -> Batch {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut batch = Batch { size: 3, values: Default::default(), present: Default::default() };
    for value in &graph.values {
        if let Definition::Leaf(Leaf::Input(name)) = &value.definition {
            let data = (0..value.ty.elements(3)).map(|_| rng.gen_range(-1.0..1.0f32)).collect();
            batch.values.insert(name.clone(), Array::F32 { dims: value.ty.at(3), data });
        }
    }
    batch
}

/// How far a norm that is folded may move a result.
const TOLERANCE: f32 = 1e-5;

/// How far gradients may move, as between engines: where a norm cancels one, what is left is the rounding of its sums.
const GRADIENT_TOLERANCE: f32 = 2e-4;

fn outputs(graph: &Graph, weights: &Weights, batch: &Batch) -> Vec<Vec<f32>> {
    let wanted: Vec<ValueId> = graph.outputs.iter().map(|o| o.value).collect();
    let mut session = find("dfdx").expect("the reference engine").session(graph);
    session.forward(weights, batch, &wanted);
    (0..wanted.len()).map(|n| session.result(n).to_vec()).collect()
}

fn assert_same_outputs(before: &Graph, after: &Graph) {
    let (weights, batch) = (weights(before), rows(before));
    let (want, got) = (outputs(before, &weights, &batch), outputs(after, &weights, &batch));
    for ((want, got), output) in want.iter().zip(&got).zip(&before.outputs) {
        assert_near(&output.name, got, want, TOLERANCE);
    }
}

/// The model of every spec, by name.
fn models() -> impl Iterator<Item = (String, Model)> {
    specs_in("specs").into_iter().map(|path| {
        let spec = Spec::read(&path, &[]).unwrap_or_else(|_| panic!("{} is wrong", path.display()));
        (stem(&path), spec.model)
    })
}

#[test]
fn every_spec_means_the_same_after_the_passes() {
    for (name, model) in models() {
        let (train, eval) = (lower(&model, Mode::Train, 0).unwrap(), lower(&model, Mode::Eval, 0).unwrap());
        let (train, eval) = (smooth(train), smooth(eval));
        let weights = weights(&train);
        // The definitions are slow where images are large.
        let rows = batch(&model, if train.flops() > 1_000_000_000 { 2 } else { 5 }, 1);
        let reference = find("dfdx").expect("the reference engine");
        let (values, gradients) = step(reference, &train, &weights, &rows, 1);
        let (own_values, own_gradients) = step(reference, &optimise(train.clone()).0, &weights, &rows, 1);
        for ((a, b), output) in own_values.iter().zip(&values).zip(&train.outputs) {
            assert_near(&format!("{name}: {} in training", output.name), a, b, TOLERANCE);
        }
        assert_eq!(own_gradients.len(), gradients.len());
        for ((path, a), (_, b)) in own_gradients.iter().zip(&gradients) {
            assert_near(&format!("{name}: the gradient of {path}"), a, b, GRADIENT_TOLERANCE);
        }
        let (a, b) = (outputs(&optimise(eval.clone()).0, &weights, &rows), outputs(&eval, &weights, &rows));
        for ((a, b), output) in a.iter().zip(&b).zip(&eval.outputs) {
            assert_near(&format!("{name}: {}", output.name), a, b, TOLERANCE);
        }
    }
}

/// Heads are cut out of graphs that were optimised before, and what was optimised twice is as if it had been once.
#[test]
fn passes_may_run_again() {
    for (name, model) in models() {
        let eval = lower(&model, Mode::Eval, 0).unwrap();
        let asked: Vec<&str> = model.heads().map(|h| h.name.as_str()).collect();
        let once = optimise(cut(&eval, &asked)).0;
        let again = heads(&optimise(eval).0, &asked);
        assert_eq!(print(&once), print(&again), "{}", name);
        assert_eq!(print(&heads(&once, &asked)), print(&once), "{}", name);
    }
}

#[test]
fn a_pass_is_found_by_its_name() {
    let names = |list: &[mtlc::passes::Pass]| list.iter().map(|pass| pass.name).collect::<Vec<_>>();
    assert_eq!(names(up_to("own_moments").unwrap()), ["dead_code", "common_subexpressions", "own_moments"]);
    assert_eq!(names(up_to("layout").unwrap()), names(PASSES));
    assert!(up_to("layouts").is_none());
    assert!(PASSES.iter().all(|pass| !pass.summary.is_empty() && !pass.summary.ends_with('.')));
}

#[test]
fn dead_values_and_parameters_go() {
    let mut net = Net::new(Mode::Eval);
    let x = net.maps(2);
    let y = net.conv("read", x, 2, Role::Trained);
    let dead = net.conv("dead", y, 3, Role::Trained);
    net.relu(dead);
    let graph = net.finish(&[y]);
    let (after, did) = pass("dead_code", &graph);
    assert_eq!(did, "dropped 3 values, 1 parameter");
    assert_eq!(after.parameters.keys().collect::<Vec<_>>(), ["read.w"]);
    assert_untouched("dead_code", &after);
}

#[test]
fn what_is_computed_twice_is_computed_once() {
    let mut net = Net::new(Mode::Train);
    let x = net.maps(2);
    let branch = |net: &mut Net| {
        let y = net.conv("shared", x, 2, Role::Trained);
        net.relu(y)
    };
    let (a, b) = (branch(&mut net), branch(&mut net));
    let sum = net.add(a, b);
    let graph = net.finish(&[sum]);
    insta::assert_snapshot!(shown("common_subexpressions", &graph));
}

#[test]
fn what_differs_in_anything_is_computed_twice() {
    let mut net = Net::new(Mode::Train);
    let x = net.maps(2);
    let ty = net.0.ty(x).clone();
    let mut outputs = vec![];
    // Masks of two layers, weights of two layers, and an attribute.
    for path in ["one", "two"] {
        let mask = net.0.mask(path, ty.clone(), 0.5);
        outputs.push(net.op(ops::dropout::Dropout {}, &[x, mask]));
        outputs.push(net.conv(path, x, 2, Role::Trained));
    }
    outputs.extend([0.1, 0.2].map(|slope| net.op(ops::leaky_relu::LeakyRelu { slope }, &[x])));
    assert_untouched("common_subexpressions", &net.finish(&outputs));
}

#[test]
fn what_follows_from_fixed_parameters_is_computed_once() {
    let graph = |mode: Mode, role: Role| {
        let mut net = Net::new(mode);
        let x = net.maps(2);
        let [a, b] = ["a", "b"].map(|path| net.parameter(path, &[2, 4, 5], role));
        let sum = net.add(a, b);
        let scaled = net.relu(sum);
        let y = net.add(x, scaled);
        net.finish(&[y])
    };
    let constants = |graph: &Graph| graph.values.iter().filter(|v| v.constant).count();
    for (mode, role, marked) in
        [(Mode::Train, Role::Trained, 0), (Mode::Train, Role::Frozen, 2), (Mode::Eval, Role::Trained, 2)]
    {
        let (after, did) = pass("constant_fold", &graph(mode, role));
        assert_eq!((constants(&after), did.is_empty()), (marked, marked == 0), "{mode:?} {role:?}");
        // Only the last sum, of 40 elements, is computed for every example.
        assert_eq!(after.flops(), if marked == 0 { 120 } else { 40 });
    }
    // What is asked for is computed each time.
    let mut net = Net::new(Mode::Eval);
    let [a, b] = ["a", "b"].map(|path| net.parameter(path, &[2], Role::Frozen));
    let sum = net.add(a, b);
    assert_untouched("constant_fold", &net.finish(&[sum]));
}

#[test]
fn serving_loses_what_only_the_losses_read() {
    let text = "model m\ninput x: f32[4]\ntarget y: f32[1]\nbackbone t(x) = linear(3) -> relu\nhead h(t) = linear(1)\nminimize mse(h, y)";
    let model = Spec::of(Source::new("m.mtl", text), Path::new(""), &[]).expect("a right spec").model;
    let eval = lower(&model, Mode::Eval, 0).unwrap();
    let serve = cut(&eval, &["h"]);
    assert!(serve.outputs.iter().all(|o| o.purpose == Purpose::Head));
    assert_eq!(count(&serve, |op| matches!(op, Op::Mse(_))), 0);
    assert_eq!(count(&heads(&eval, &["h"]), |op| matches!(op, Op::Relu(_))), 0, "the linear layer applies it");
    assert_eq!(cut(&eval, &["none"]).values.len(), 0);
}
