//! Ways to train a part of a network differently from the rest, against what they should come to.

use super::{specs, train};
use mtlc::base::Source;
use mtlc::engine::{ENGINES, Engine, Noise, Weights};
use mtlc::graph::{Definition, Purpose, Role};
use mtlc::model::{Model, Spec};
use mtlc::ops::Op;
use mtlc::plan::Graphs;
use mtlc::train::{State, Step, leave_answers, random_batch};
use mtlc::weights::{TensorFile, write_tensors};
use std::path::Path;

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

/// The copies in a stage of a library backbone count each by themselves, as those of a spec do.
#[test]
fn layers_of_the_library_are_counted() {
    let text = "model m\ninput image: f32[3, 32, 32]\ntarget y: class[2]\nbackbone trunk(image) = resnet18\n\
                head label(trunk) = linear(2)\nminimize cross_entropy(label, y)";
    let spec = Spec::of(Source::new("m.mtl", text), Path::new(""), &[]).expect("the spec is right");
    let depth = |layer: &str| spec.model.depth(layer, |_| true).map(|(behind, _)| behind);
    let [first, second] =
        ["trunk.layer2.0.body.conv1", "trunk.layer2.1.body.conv1"].map(|layer| depth(layer).expect("a layer"));
    assert_eq!(first, second + 1);
    assert!(depth("trunk.stem.conv").expect("a layer") > depth("trunk.layer1.0.body.conv1").expect("a layer"));
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

/// The answers of `label` by the training graph, where branches stand beside the weights, and by the evaluation graph, where they
/// are merged.
fn both_ways(model: &Model, engine: &dyn Engine, weights: &Weights) -> [Vec<f32>; 2] {
    let graphs = Graphs::of(model).expect("the spec is right");
    let batch = random_batch(model, 8, 5).expect("rows");
    [&graphs.train, &graphs.eval].map(|graph| {
        let head = graph.output("label", Purpose::Head).expect("the head").value;
        let mut session = engine.session(graph);
        session.forward(weights, &batch, &[head]);
        session.result(0).to_vec()
    })
}

fn same(a: &[f32], b: &[f32], most: f32) {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() <= most, "{a} against {b}"));
}

pub const CONVOLUTIONS: &str = "input image: f32[4, 6, 6]\n\
    backbone trunk(image) = conv(8, 3) -> batch_norm -> gelu -> residual(conv(12, 3, stride: 2) -> batch_norm) -> \
    conv(8, 3, dilation: 2, bias: true) -> depthwise(3) -> conv(8, 1, groups: 2) -> flatten -> linear(16)\n\
    head label(trunk, x) = linear(3)\n";
pub const TOKENS: &str = "backbone trunk(x) = linear(24) -> tanh -> reshape(3, 2, 4) -> tokens -> linear(8) -> encoder(2, 12) -> \
    attention(4) -> residual(linear(6)) -> mean_tokens\n\
    head label(trunk) = linear(3)\n";

#[test]
fn merged_weights_answer_like_branches_beside_them() {
    for (text, tune, branches) in [
        (CONVOLUTIONS, "tune trunk (adapt: lora(3, alpha: 6)), label (adapt: lora(2, alpha: 2))", 6),
        (TOKENS, "tune trunk (adapt: lora(2, alpha: 5))", 14),
    ] {
        let model = model(&format!("{text}{tune}\ntrain {{ optimizer: adamw(lr: 0.02) }}"));
        for engine in ENGINES {
            let (first, state) = steps(&model, *engine, 4);
            let pairs: Vec<_> = first.iter().filter(|(path, _)| path.ends_with("lora.b")).collect();
            for (path, before) in &pairs {
                assert!(before.data.iter().all(|x| *x == 0.0), "{path} begins with zeros");
                assert!(state.weights.get(path).data.iter().all(|x| *x != 0.0), "{path} has moved");
            }
            assert_eq!(pairs.len(), branches);
            let [branched, merged] = both_ways(&model, *engine, &state.weights);
            same(&branched, &merged, 1e-5);
            let [before, _] = both_ways(&model, *engine, &first);
            assert!(before.iter().zip(&branched).any(|(a, b)| (a - b).abs() > 1e-2), "the branches say something");
        }
    }
}

/// No gradient of an adapted weight is computed, and the merged one is a constant that a norm folds into.
#[test]
fn adapted_weights_are_frozen_and_merged_once() {
    let model = model(&format!("{CONVOLUTIONS}tune trunk (adapt: lora(3))"));
    let graphs = Graphs::of(&model).expect("the spec is right");
    let trained: Vec<&String> =
        graphs.train.parameters.iter().filter(|(_, p)| p.role == Role::Trained).map(|(path, _)| path).collect();
    let expected = ["trunk.0", "trunk.3.0", "trunk.3.shortcut.0", "trunk.4", "trunk.8"];
    let expected: Vec<String> =
        expected.iter().flat_map(|path| [format!("{path}.lora.a"), format!("{path}.lora.b")]).collect();
    assert_eq!(
        trained.iter().filter(|path| path.contains("lora")).map(|p| p.to_string()).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(trained.len(), expected.len() + 2, "and the head: {trained:?}");
    let mut taken = vec![];
    let batch = random_batch(&model, 4, 1).expect("rows");
    let weights = Weights::initial(&graphs.train, 0);
    let mut session = ENGINES[0].session(&graphs.train);
    let objective = graphs.train.objective().expect("it trains");
    session.backward(&weights, &batch, Noise { seed: 0, step: 0 }, &[], &[objective]);
    session.gradients(&mut |path, _| taken.push(path.to_string()));
    taken.sort();
    let mut trained: Vec<String> = trained.into_iter().cloned().collect();
    trained.sort();
    assert_eq!(taken, trained, "gradients of what is trained, and of nothing else");
    let merged = |v: &&mtlc::graph::Value| matches!(&v.definition, Definition::Op { op: Op::LowRank(_), .. });
    assert!(graphs.eval.values.iter().filter(merged).count() == 5);
    assert!(graphs.eval.values.iter().filter(merged).all(|value| value.constant));
    let is_norm = |v: &&mtlc::graph::Value| matches!(&v.definition, Definition::Op { op: Op::BatchNorm(_), .. });
    assert_eq!(
        graphs.eval.values.iter().filter(is_norm).count(),
        0,
        "every norm folds into the merged weight before it"
    );
}

/// An encoder with bottlenecks is what one writes with `residual` for each of them.
#[test]
fn bottlenecks_stand_at_the_end_of_each_branch() {
    let head = "head label(trunk) = linear(3)\n";
    let start = "backbone trunk(x) = reshape(3, 2, 1) -> tokens -> linear(8)";
    let adapted = model(&format!(
        "{start} -> encoder(2, 12) -> residual(linear(8) -> tanh) -> mean_tokens\n{head}\
         tune trunk (adapt: bottleneck(5))"
    ));
    let adapter =
        "residual { body: gelu_between }".replace("body: gelu_between", "down: linear(5)  bend: gelu  up: linear(8)");
    let written = model(&format!(
        "{start} -> residual {{ norm1: layer_norm  attention: attention(2)  adapter1: {adapter} }} -> \
         residual {{ norm2: layer_norm  inner: linear(12)  bend: gelu  outer: linear(8)  adapter2: {adapter} }} -> \
         residual {{ first: linear(8)  bend: tanh  adapter: {adapter} }} -> mean_tokens\n{head}"
    ));
    let graphs = Graphs::of(&adapted).expect("the spec is right");
    let mut weights = Weights::initial(&graphs.train, 3);
    let outer: Vec<String> =
        weights.iter().map(|(path, _)| path.clone()).filter(|path| path.contains(".up.")).collect();
    assert_eq!(outer.len(), 6);
    for path in &outer {
        let data = &mut weights.get_mut(path).data;
        assert!(data.iter().all(|x| *x == 0.0), "{path} begins with zeros");
        data.iter_mut().enumerate().for_each(|(i, x)| *x = ((i * 7 % 11) as f32 - 5.0) / 9.0);
    }
    let other = Graphs::of(&written).expect("the spec is right");
    let names = [
        ("trunk.3.norm1.", "trunk.3.norm1."),
        ("trunk.3.attention.", "trunk.3.attention."),
        ("trunk.3.adapter1.", "trunk.3.adapter1."),
        ("trunk.4.norm2.", "trunk.3.norm2."),
        ("trunk.4.inner.", "trunk.3.feed.inner."),
        ("trunk.4.outer.", "trunk.3.feed.outer."),
        ("trunk.4.adapter2.", "trunk.3.adapter2."),
        ("trunk.5.first.", "trunk.4.0."),
        ("trunk.5.adapter.", "trunk.4.adapter."),
    ];
    let named = |path: &String| match names.iter().find(|(from, _)| path.starts_with(from)) {
        Some((from, to)) => path.replacen(from, to, 1),
        None => path.clone(),
    };
    let same_weights: Weights =
        other.train.parameters.keys().map(|path| (path.clone(), weights.get(&named(path)).clone())).collect();
    assert_eq!(same_weights.iter().count(), weights.iter().count());
    for engine in ENGINES {
        let [ours, evaluated] = both_ways(&adapted, *engine, &weights);
        let [theirs, _] = both_ways(&written, *engine, &same_weights);
        same(&ours, &theirs, 1e-5);
        same(&ours, &evaluated, 1e-5);
    }
    // On a feature map they are convolutions 1×1, and begin as nothing.
    let maps = "input image: f32[4, 6, 6]\nbackbone trunk(image) = residual(conv(4, 3)) -> global_pool\nhead label(trunk, x) = linear(3)\n";
    let (plain, map) = (model(maps), model(&format!("{maps}tune trunk (adapt: bottleneck(3))")));
    let weights = Weights::initial(&Graphs::of(&map).expect("the spec is right").train, 3);
    assert_eq!(weights.get("trunk.0.adapter.down.weight").dims, [3, 4, 1, 1]);
    for engine in ENGINES {
        same(&both_ways(&plain, *engine, &weights)[0], &both_ways(&map, *engine, &weights)[0], 1e-6);
    }
}

/// Both engines take the same steps with every adapter, and move nothing else.
#[test]
fn engines_agree_on_what_adapters_learn() {
    for text in [
        format!("{TOKENS}tune trunk (adapt: lora(2, dropout: 0.3), l2sp: 0.1)\ntrain {{ optimizer: sgd(lr: 0.1) }}"),
        format!("{TOKENS}tune trunk (adapt: bottleneck(4))\ntrain {{ optimizer: sgd(lr: 0.1), ema: 0.5 }}"),
        format!(
            "{CONVOLUTIONS}tune trunk (adapt: lora(2)), trunk.3 (adapt: bottleneck(3))\ntrain {{ optimizer: sgd(lr: 0.1) }}"
        ),
    ] {
        let model = model(&text);
        let graph = Graphs::of(&model).expect("the spec is right").train;
        let [(first, a), (_, b)] = [0, 1].map(|i| steps(&model, ENGINES[i], 3));
        for (path, before) in first.iter() {
            let (a, b) = (&a.weights.get(path).data, &b.weights.get(path).data);
            same(a, b, 1e-4);
            assert_eq!(graph.parameters[path].role == Role::Trained, *a != before.data, "{path}");
        }
    }
}

/// An adapter begins by itself on weights of a run that had none, and the hash proves that these stay.
#[test]
fn an_adapter_learns_on_the_frozen_weights_of_a_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    std::fs::copy(specs().join("data/wdbc.csv"), folder.path().join("data/wdbc.csv")).expect("the data");
    let write = |name: &str, options: &str, rules: &str| {
        let text = format!(
            "model {name}\ninput cells: f32[20]\ntarget malignant: class[\"benign\", \"malignant\"]\n\
             backbone trunk(cells{options}) = linear(16) -> norm -> relu -> linear(8) -> norm -> relu\n\
             head diagnosis(trunk) = linear(2)\n{rules}\nminimize cross_entropy(diagnosis, malignant)\n\
             measure auroc(diagnosis, malignant)\n\
             data wdbc = csv(\"data/wdbc.csv\", split: [0.6, 0.2, 0.2]) {{\n\
               cells = columns(all, except: [\"mean texture\", \"*radius*\", \"*perimeter*\", \"*area*\"]) -> standardize\n\
               malignant = column(\"diagnosis\")\n}}\ntrain {{ epochs: 2, optimizer: adamw(lr: 1e-2) }}\n"
        );
        std::fs::write(folder.path().join(format!("{name}.mtl")), text).expect("the spec");
        let run = train(folder.path(), Path::new(&format!("{name}.mtl")), &[]);
        let path = folder.path().join(run["run"].as_str().expect("a folder")).join("last.safetensors");
        (TensorFile::read(&path).expect("the checkpoint is whole"), run)
    };
    let (base, _) = write("base", "", "");
    let (adapted, run) = write("adapted", ", weights: run(base, checkpoint: last)", "tune trunk (adapt: lora(4))");
    let kept: Vec<&String> = base.tensors.keys().filter(|name| name.starts_with("trunk.")).collect();
    assert_eq!(kept.len(), 10, "{kept:?}");
    assert!(kept.iter().all(|name| base.tensors[*name] == adapted.tensors[*name]));
    assert_eq!(run["frozen"]["tensors"], 10);
    assert!(adapted.tensors["trunk.0.lora.b"].data.iter().all(|x| *x != 0.0));
}

/// A checkpoint gives back what it was given, answers with averages, and says so when some of it is gone.
#[test]
fn checkpoints_keep_starts_and_averages() {
    let text = "backbone trunk(x) = linear(8) -> norm -> relu\nhead label(trunk) = linear(3)\ntune trunk (l2sp: 0.1)\n";
    let model = model(&format!("{text}train {{ optimizer: sgd(lr: 0.1), ema: 0.75 }}"));
    let (first, state) = steps(&model, ENGINES[0], 3);
    assert_eq!((state.start.len(), state.average.len()), (3, 5));
    assert_eq!(state.start["trunk.0.weight"], first.get("trunk.0.weight").data);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("last.safetensors");
    state.write(&path, &[]).expect("it can be written");
    assert_eq!(State::read(&path, first.clone(), |_| &[]).expect("it is whole"), state);

    let mut file = TensorFile::read(&path).expect("it is whole");
    let metadata = file.metadata.clone();
    leave_answers(&mut file);
    let mut answers = first.clone();
    answers.load(&file, "").expect("nothing but parameters is left");
    assert_eq!(answers, *state.answers());
    assert_ne!(answers, state.weights);

    for lost in ["start/trunk.1.bias", "average/label.weight"] {
        let whole = TensorFile::read(&path).expect("it is whole");
        let rest = whole.tensors.iter().filter(|(name, _)| *name != lost).map(|(name, array)| (name.clone(), array));
        let damaged = folder.path().join("damaged.safetensors");
        write_tensors(&damaged, rest, metadata.clone()).expect("it can be written");
        let wrong = State::read(&damaged, first.clone(), |_| &[]).expect_err("something is gone");
        assert!(wrong.render(None, false).contains("missing or damaged"), "{lost}");
    }
}
