//! Ways to train a part of a network differently from the rest, against what they should come to.

use super::specs;
use mtlc::base::Source;
use mtlc::engine::{ENGINES, Engine, Weights};
use mtlc::model::{Model, Spec};
use mtlc::plan::Graphs;
use mtlc::train::{State, Step, random_batch};

/// The model of a spec, from its networks on.
pub fn model(text: &str) -> Model {
    let text = format!("model m\ninput x: f32[6]\ntarget y: class[3]\n{text}\nminimize cross_entropy(label, y)\n");
    let spec = Spec::of(Source::new("m.mtl", text), &specs(), &[]);
    spec.unwrap_or_else(|f| panic!("{}", f.diagnostics.render(f.source.as_ref(), false))).model
}

/// The weights before and after some steps on one batch.
pub fn steps(model: &Model, engine: &dyn Engine, count: usize) -> (Weights, State) {
    let graphs = Graphs::of(model).unwrap_or_else(|wrong| panic!("{}", wrong.render(None, false)));
    let first = Weights::initial(&graphs.train, 1);
    let batch = random_batch(model, 8, 2).expect("rows");
    let (mut state, mut step) = (State::new(first.clone()), Step::new(model, engine, &graphs.train));
    for _ in 0..count {
        step.take(&mut state, &batch, 1.0).expect("it trains");
    }
    (first, state)
}

#[test]
fn rates_fall_with_the_depth_of_the_layers() {
    // Layers: `stem` with its norm, the copies of `blocks`, `last`; `relu` has no parameters, and the head is another network.
    let text = "backbone trunk(x) {\n stem: linear(8)\n after: norm\n blocks: repeat(2, residual(linear(8) -> tanh))\n \
                last: linear(8) -> tanh -> linear(4)\n flat: tanh\n}\nhead label(trunk) = linear(3)\n";
    let train = "train { optimizer: sgd(lr: 0.1) }";
    let plain = model(&format!("{text}{train}"));
    let tuned = model(&format!("{text}tune trunk (layer_decay: 0.5, lr: 0.2), label (lr: 0.5x)\n{train}"));
    for engine in ENGINES {
        let ((first, a), (_, b)) = (steps(&plain, *engine, 1), steps(&tuned, *engine, 1));
        for (path, before) in first.iter().filter(|(path, _)| !path.contains("running")) {
            // 2 is the rate of `tune` over that of the optimizer; 0.5 for each layer behind.
            let factor = match path.split('.').collect::<Vec<_>>()[..] {
                ["trunk", "stem" | "after", ..] => 2.0 * 0.5f32.powi(3),
                ["trunk", "blocks", "0", ..] => 2.0 * 0.5f32.powi(2),
                ["trunk", "blocks", "1", ..] => 2.0 * 0.5f32,
                ["trunk", "last", ..] => 2.0,
                _ => 0.5,
            };
            let (plain, tuned) = (&a.weights.get(path).data, &b.weights.get(path).data);
            for ((w, plain), tuned) in before.data.iter().zip(plain).zip(tuned) {
                assert!(((tuned - w) - factor * (plain - w)).abs() < 1e-6, "{path}: {w} to {plain} and {tuned}");
            }
            assert_ne!(plain, &before.data, "{path} moves");
        }
    }
}

#[test]
fn phases_follow_from_the_epoch() {
    let text = "backbone trunk(x) = linear(8) -> norm -> relu -> linear(8)\nhead label(trunk) = linear(3)\n\
                freeze trunk.0 until epoch 4\n\
                train { phases: [probe(epochs: 2, lr: 0.5), finetune(epochs: 3, optimizer: sgd(lr: 0.1)), probe(epochs: 1)], \
                optimizer: adamw(lr: 0.01) }";
    let model = model(text);
    assert_eq!(model.train.size("epochs"), 6);
    let at =
        |epoch| (model.phase(epoch).name, model.phase(epoch).hyper().lr, model.phase(epoch).optimizer.signature.name);
    for (epoch, phase) in [(0, (Some("probe"), 0.5, "adamw")), (1, (Some("probe"), 0.5, "adamw"))] {
        assert_eq!(at(epoch), phase);
    }
    for (epoch, phase) in [(2, (Some("finetune"), 0.1, "sgd")), (5, (Some("probe"), 0.01, "adamw"))] {
        assert_eq!(at(epoch), phase);
    }
    assert_eq!(model.turns(), [0, 2, 4, 5]);
    let frozen = |epoch| {
        let graph = mtlc::lower::lower(&model, mtlc::graph::Mode::Train, epoch).expect("it lowers");
        graph.parameters.iter().filter(|(_, p)| p.role.is_frozen()).map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(frozen(1).len(), 7, "everything of the trunk: {:?}", frozen(1));
    assert_eq!(frozen(3), ["trunk.0.weight"]);
    assert!(frozen(4).is_empty());
    assert_eq!(frozen(5).len(), 7);
}

#[test]
fn averages_answer_and_the_parameters_go_on() {
    let text = "backbone trunk(x) = linear(8) -> norm -> relu\nhead label(trunk) = linear(3)\n";
    let plain = model(&format!("{text}train {{ optimizer: sgd(lr: 0.1) }}"));
    let averaged = model(&format!("{text}train {{ optimizer: sgd(lr: 0.1), ema: 0.75 }}"));
    for engine in ENGINES {
        let ((first, a), (_, b)) = (steps(&plain, *engine, 1), steps(&averaged, *engine, 1));
        assert_eq!(a.weights, b.weights, "the parameters move as without an average");
        assert_eq!(*a.answers(), a.weights);
        for (path, array) in b.answers().iter() {
            let (before, now) = (&first.get(path).data, &b.weights.get(path).data);
            for ((answer, before), now) in array.data.iter().zip(before).zip(now) {
                // Running statistics are averages already, and answer as they are.
                let expected = if path.contains("running") { *now } else { 0.75 * before + 0.25 * now };
                assert!((answer - expected).abs() < 1e-6, "{path}: {answer} against {expected}");
            }
        }
    }
}

#[test]
fn biases_alone_are_trained_and_statistics_stay() {
    let text = "backbone trunk(x) = linear(8) -> norm -> relu -> dropout(0.5) -> linear(8)\nhead label(trunk) = linear(3)\n\
                tune trunk (adapt: bitfit)\n";
    let (first, state) = steps(&model(text), ENGINES[0], 3);
    let moved: Vec<&String> =
        first.iter().filter(|(path, array)| state.weights.get(path) != *array).map(|(path, _)| path).collect();
    assert_eq!(moved, ["trunk.1.bias", "trunk.4.bias", "label.weight", "label.bias"]);
}
